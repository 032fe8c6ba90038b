import { expect, test } from "vitest";
import { mulberry32 } from "../../src/model/random";
import type { Activation } from "../../src/ops/activations";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops, Tensor } from "../../src/ops/ops";
import { awq } from "../../src/quant/awq";
import type { StageView } from "../../src/quant/quantizer";
import { activationsOf } from "../support/engine";
import { recipeWith } from "../support/recipe";

const [length, perChunk, n, out] = [16, 64, 16, 8];

function random(count: number, seed: number): Float32Array {
  const next = mulberry32(seed);
  return Float32Array.from({ length: count }, () => next() / 2 ** 32 - 0.5);
}

/** What the module gives, without counting: the layers' outputs added up. */
function moduleOf(ops: Ops, x: Tensor, weights: readonly Tensor[]): Tensor {
  return weights.map((w) => ops.linear(x, w)).reduce((a, b) => ops.add(a, b));
}

/** A stage of so many v_projs; it counts the rows that go through the module. */
async function stageOver(ops: Ops, tokens: number, layers = 2) {
  const activations = activationsOf(ops);
  const spread = Float32Array.from({ length: n }, (_, j) => 2 ** (j % 6));
  const chunks: Activation[] = [];
  for (let first = 0; first < tokens; first += perChunk * length) {
    const rows = Math.min(perChunk * length, tokens - first);
    const x = random(rows * n, first + 1).map((value, i) => value * spread[i % n]);
    chunks.push(await activations.hold(ops.fromFloats(x, [rows, n])));
  }
  const counted = { rows: 0 };
  const view: StageView = {
    ...{ block: 0, H: null, C: null, diagonal: null, factor: null, tokens, length, chunks: chunks.length, foldable: true },
    layers: Array.from({ length: layers }, (_, i) => ({
      kind: "v_proj",
      name: `layer ${i}`,
      weight: ops.fromFloats(random(out * n, 7 + i), [out, n]),
      grid: { bits: 3, groupSize: -1, symmetric: false },
      rest: null,
    })),
    x: (c) => chunks[c],
    moduleOutput: (x, weights) => {
      counted.rows += x.shape[0];
      return moduleOf(ops, x, weights);
    },
    hold: (tensor: Tensor) => activations.hold(tensor),
  };
  return { view, counted };
}

/** mean|x|^r for the r among 20 with the least ‖module(X) − module with Q(Ws)/s(X)‖², found the long way. */
async function bestOfAll(ops: Ops, { layers, x, chunks, tokens }: StageView): Promise<Float64Array> {
  const sums = ops.zeros([n]);
  for (let c = 0; c < chunks; c++) ops.addColumnSums(sums, await x(c).acquire());
  const [totals] = await ops.read([sums]);
  let best = { error: Number.POSITIVE_INFINITY, scale: new Float64Array() };
  for (let i = 0; i < 20; i++) {
    const raw = Float64Array.from(totals, (sum) => Math.max((sum / tokens) ** (i / 20), 1e-4));
    const scale = raw.map((v) => v / Math.sqrt(Math.max(...raw) * Math.min(...raw)));
    const s = ops.fromFloats(scale, [n]);
    const acting = layers.map((layer) => {
      const scaled = ops.scaleColumns(layer.weight, s);
      const grid = ops.grid(scaled, layer.grid);
      return ops.scaleColumns(ops.decode(ops.encode(scaled, grid, 3), grid), s, true);
    });
    let error = 0;
    for (let c = 0; c < chunks; c++) {
      const inputs = await x(c).acquire();
      const whole = layers.map(({ weight }) => weight);
      const [pairs] = await ops.read([ops.squaredDifference(moduleOf(ops, inputs, whole), moduleOf(ops, inputs, acting))]);
      for (let k = 0; k < pairs.length; k += 2) error += pairs[k];
    }
    if (error < best.error) best = { error, scale };
  }
  return best.scale;
}

test.each([
  { tokens: 2048, passes: 21, why: "so few are looked at whole" },
  { tokens: 4096, passes: (1 + 20) / 8 + (1 + 5) / 2, why: "two samples, of 512 tokens and of half the windows" },
  { tokens: 32768, passes: (1 + 20) / 16 + (1 + 5) / 4, why: "two samples" },
])(
  "over $tokens tokens, all go through the module $passes times ($why), and the exponent is the best of all",
  async ({ tokens, passes }) => {
    const ops = createCpuOps();
    const { view, counted } = await stageOver(ops, tokens);
    const { fold } = await awq.quantize(view, recipeWith({ method: "awq" }), ops);
    expect(counted.rows / tokens).toBe(passes);
    expect(fold).toEqual(await bestOfAll(ops, view));
  },
);

test.each([2048, 4096])(
  "a layer that is the module itself goes by XᵀX of all %i tokens: the exponent is the best of all",
  async (tokens) => {
    const ops = createCpuOps();
    const { view, counted } = await stageOver(ops, tokens, 1);
    const { fold } = await awq.quantize(view, recipeWith({ method: "awq" }), ops);
    expect(counted.rows).toBe(0);
    expect(fold).toEqual(await bestOfAll(ops, view));
  },
);

test("an exponent whose error is not a number is not chosen; where none has one, the inputs stay as they are", async () => {
  const ops = createCpuOps();
  const { view } = await stageOver(ops, 2048);
  /** With an output that is not a number in place of the n-th and some more; the first two are the references. */
  const foldWithout = async (first: number, count: number) => {
    let calls = 0;
    const moduleOutput: StageView["moduleOutput"] = (x, weights) => {
      const y = view.moduleOutput(x, weights);
      const lost = calls >= first && calls < first + count;
      calls++;
      return lost ? ops.fromFloats(new Float64Array(y.shape[0] * y.shape[1]).fill(Number.NaN), y.shape) : y;
    };
    return (await awq.quantize({ ...view, moduleOutput }, recipeWith({ method: "awq" }), ops)).fold;
  };
  const best = await bestOfAll(ops, view);
  expect(await foldWithout(2, 2)).toEqual(best);
  expect([...(await foldWithout(2, 40))!]).toEqual(Array(n).fill(1));
});

test("a search is stopped within one chunk of work", async () => {
  const ops = createCpuOps();
  const { view, counted } = await stageOver(ops, 32768);
  const stop = new AbortController();
  const stopping: StageView = {
    ...view,
    moduleOutput: (x, weights) => {
      if (counted.rows > 40_000) stop.abort();
      return view.moduleOutput(x, weights);
    },
  };
  await expect(awq.quantize(stopping, recipeWith({ method: "awq" }), ops, stop.signal)).rejects.toMatchObject({ code: "cancelled" });
  expect(counted.rows).toBeLessThanOrEqual(40_000 + 2 * perChunk * length);
});
