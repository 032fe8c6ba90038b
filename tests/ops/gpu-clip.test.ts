import { expect, it } from "vitest";
import type { Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(29);

it.each([
  [3, 8, -1, "integer-zero"],
  [5, 30, 6, "integer-zero"],
  [9, 64, 32, "integer-zero"],
  [5, 30, 6, "real-zero"],
  [9, 64, 32, "real-zero"],
] as const)("clipSearch of %i × %i in groups of %i errs as little as the reference's, with %s", async (out, n, groupSize, kind) => {
  const run = groupSize < 0 ? n : groupSize;
  const spec = { bits: 3, groupSize, symmetric: false, kind };
  const W = random([out, n]).map((x, i) => (i % 7 === 0 ? 3 * x : x ** 3));
  const x = random([2 * n, n]).map((v, i) => v * (1 + (i % n) / n));
  const gram = await inScope(cpu, async () => {
    const [G, X] = [cpu.zeros([n, n]), cpu.fromFloats(x, [2 * n, n])];
    cpu.gram(G, X);
    cpu.mirror(G);
    return Float32Array.from((await cpu.read([G]))[0]);
  });
  const clip = (o: Ops) =>
    inScope(o, async () => (await o.read([o.clipSearch(o.fromFloats(W, [out, n]), o.fromFloats(gram, [n, n]), spec)]))[0]);
  /** Each group's Σ e G e, e = ŵ(clipped) − w, in float64. */
  const losses = (clipped: ArrayLike<number>) =>
    inScope(cpu, async () => {
      const w = cpu.fromFloats(clipped, [out, n]);
      const g = cpu.grid(w, spec);
      const [back] = await cpu.read([cpu.decode(cpu.encode(w, g, 3), g)]);
      const e = back.map((v, i) => v - W[i]);
      return Array.from({ length: (out * n) / run }, (_, group) => {
        const start = group * run;
        const row = (i: number) =>
          Array.from({ length: run }, (_, j) => gram[((start % n) + i) * n + (start % n) + j] * e[start + j]).reduce((a, b) => a + b, 0);
        return Array.from({ length: run }, (_, i) => e[start + i] * row(i)).reduce((a, b) => a + b, 0);
      });
    });
  const [actual, best, plain] = [await losses(await clip(gpu)), await losses(await clip(cpu)), await losses(W)];
  // Thresholds that err alike to within f32 may be mistaken for each other: two sums of `run` terms, of which not all are positive, hence 10.
  for (const [i, e] of best.entries()) expect(actual[i]).toBeLessThanOrEqual(e * (1 + 10 * 2 * run * ulp) + 1e-12);
  expect(best.some((e, i) => e < 0.95 * plain[i])).toBe(true);
});

it("the first threshold clips nothing, to the bit", async () => {
  // A gram of zeros makes all candidates equal.
  const W = random([4, 12]);
  const [y] = await inScope(gpu, () =>
    gpu.read([gpu.clipSearch(gpu.fromFloats(W, [4, 12]), gpu.zeros([12, 12]), { bits: 4, groupSize: 4, symmetric: true })]),
  );
  expect([...y]).toEqual([...W]);
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const spec = { bits: 4, groupSize: 4, symmetric: true };
  expect(() => gpu.clipSearch(gpu.zeros([2, 8]), gpu.zeros([4, 4]), spec)).toThrow("clipSearch got 2 × 8 and 4 × 4 in groups of 4");
  scope.end();
});
