import { expect, test } from "vitest";
import { byOutputs, Drift, driftWork } from "../../src/engine/drift";
import { pairSums } from "../../src/engine/sums";
import { createCpuOps } from "../../src/ops/cpu";
import { randoms } from "../ops/helpers";

const random = randoms(5);

test.each([
  { title: "few tokens, by their outputs", rows: [3, 5], n: 8, tokens: 6, outputs: true },
  { title: "many tokens, by one matrix of all", rows: [9, 7], n: 8, tokens: 60, outputs: false },
  { title: "a narrow layer, by its outputs", rows: [2], n: 16, tokens: 64, outputs: true },
])("$title: ‖W·δ‖² of every layer", ({ rows, n, tokens, outputs }) => {
  const ops = createCpuOps();
  const all = rows.reduce((a, b) => a + b, 0);
  expect(byOutputs(all, n, tokens)).toBe(outputs);
  const work = [2 * tokens * n * all, tokens * n * n + 2 * all * n * n];
  expect(driftWork(all, n, tokens)).toBe(Math.min(...work));
  const weights = rows.map((out) => ops.fromFloats(random([out, n]), [out, n]));
  const deltas = [0, 1].map(() => random([tokens / 2, n]));
  const drift = new Drift(ops, weights, tokens);
  const before = ops.liveBytes;
  for (const delta of deltas) {
    const difference = ops.fromFloats(delta, [tokens / 2, n]);
    drift.add(difference);
    ops.free(difference);
  }
  return Promise.all(
    drift.sums().map(async (partials, i) => {
      const sums = await ops.read(partials);
      const found = sums.reduce((sum, pairs) => sum + pairSums(pairs)[0], 0);
      const [W] = await ops.read([weights[i]]);
      let want = 0;
      for (const delta of deltas)
        for (let t = 0; t < tokens / 2; t++)
          for (let o = 0; o < rows[i]; o++) {
            let y = 0;
            for (let j = 0; j < n; j++) y += W[o * n + j] * delta[t * n + j];
            want += y * y;
          }
      expect(found / want).toBeCloseTo(1, 12);
      ops.free(...partials);
    }),
  ).then(() => expect(ops.liveBytes).toBeLessThanOrEqual(before));
});
