import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { gptq } from "../../src/quant/gptq";
import { quantizers } from "../../src/quant/registry";
import { roundToNearest } from "../../src/quant/rtn";
import type { Recipe } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { openLayer } from "../support/layer";
import { recipeWith } from "../support/recipe";
import { factored, onGrid, stageOf } from "../support/stage";
import { tinySource, tinyTokens } from "../support/tiny";

const layer = await openLayer();
const recipeOf = (change: Partial<Recipe>, options: Partial<Recipe["gptq"]> = {}) =>
  recipeWith({ method: "gptq", bits: 3, ...change, gptq: options });

/** GPTQ of the fixture's first columns with a Hessian of our own. */
async function quantized(recipe: Recipe, hessian?: (i: number, j: number) => number) {
  const ops = createCpuOps();
  const { data, shape } = await layer.floats("W_star.0.5.0.01");
  const H = (await layer.floats("H")).data;
  const n = shape[1];
  const W = ops.fromFloats(data, shape);
  const h = ops.fromFloats(hessian ? Float64Array.from({ length: n * n }, (_, i) => hessian(Math.floor(i / n), i % n)) : H, [n, n]);
  const stage = await factored(ops, recipe, stageOf(recipe, W, h));
  const before = ops.liveBytes;
  const result = onGrid((await gptq.quantize(stage, recipe, ops)).layers[0]);
  const rtn = roundToNearest(W, recipe, ops);
  const [got] = await ops.read([ops.decode(result.codes, result.grid)]);
  const [nearest] = await ops.read([ops.decode(rtn.codes, rtn.grid)]);
  const held = ops.liveBytes - before;
  return { result, codes: await ops.readUints(result.codes), got, nearest, data, H, n, held };
}

/** tr((W − Ŵ) H (W − Ŵ)ᵀ): what GPTQ minimises. */
function objective(W: ArrayLike<number>, other: ArrayLike<number>, H: ArrayLike<number>, n: number): number {
  let sum = 0;
  for (let row = 0; row < W.length / n; row++)
    for (let i = 0; i < n; i++) {
      let h = 0;
      for (let j = 0; j < n; j++) h += H[i * n + j] * (W[row * n + j] - other[row * n + j]);
      sum += (W[row * n + i] - other[row * n + i]) * h;
    }
  return sum;
}

describe("GPTQ", () => {
  test.each([2, 3, 4] as const)("at %i bits errs less than rounding to nearest, in the norm of H", async (bits) => {
    const { got, nearest, data, H, n } = await quantized(recipeOf({ bits }));
    expect(objective(data, got, H, n)).toBeLessThan(0.7 * objective(data, nearest, H, n));
  });

  test("with a diagonal H is rounding to nearest", async () => {
    const { got, nearest } = await quantized(recipeOf({}), (i, j) => (i === j ? 1 + i : 0));
    expect(got).toEqual(nearest);
  });

  test("takes live group grids when asked to, which differ from the block's only where a group starts inside a block", async () => {
    const block = await quantized(recipeOf({ groupSize: 32 }));
    const live = await quantized(recipeOf({ groupSize: 32 }, { groupGrids: "live" }));
    const scale = (r: typeof block, g: number) =>
      r.result.grid.scales && (r.result.grid.scales as unknown as { data: Float64Array }).data[g];
    // 320 inputs are 10 groups a row: the first of a row starts its block, the second does not.
    expect(scale(live, 0)).toBe(scale(block, 0));
    expect(Array.from({ length: 96 }, (_, row) => scale(live, row * 10 + 1) !== scale(block, row * 10 + 1))).toContain(true);
  });

  test("falls back to rounding, and says so, where no damping helps", async () => {
    const { result, got, nearest } = await quantized(recipeOf({}), (i, j) => (i === j ? 1 : -5));
    expect(result.damping).toEqual([0.01, 0.1, 1, 10]);
    expect(result.fallback).toMatch(/rounded to nearest/);
    expect(got).toEqual(nearest);
  });

  test("climbs the damping ladder as far as it needs", async () => {
    // Two blocks of 160 inputs, correlation −c: the least eigenvalue is 1 − 159·c = −0.05, so 0.01 is not enough and 0.1 is.
    const { result } = await quantized(recipeOf({}), (i, j) => (i === j ? 1 : i % 2 === j % 2 ? -1.05 / 159 : 0));
    expect(result).toMatchObject({ damping: [0.01, 0.1], fallback: null });
  });

  test("leaves nothing on the device but its result", async () => {
    const { held } = await quantized(recipeOf({ groupSize: 32 }, { actOrder: true }));
    // Codes and grids of GPTQ and RTN, and two decoded matrices.
    const [out, n, groups] = [96, 320, 10];
    expect(held).toBe(2 * (4 * out * n + 16 * out * groups) + 2 * 8 * out * n);
  });
});

test.each([
  ["rtn", {}],
  ["gptq", { groupSize: -1 }],
  ["gptq", { groupSize: 32 }],
  ["gptq", { groupSize: 32, actOrder: true }],
] as const)(
  "%s %o: a scale is that of W* itself, not of its rounding",
  async (method, { groupSize = -1, actOrder = false }: { groupSize?: Recipe["groupSize"]; actOrder?: boolean }) => {
    const ops = createCpuOps();
    // 2·|w|/15 lies midway between two f16 values; half to even goes down, the rest up.
    const middle = (1024.5 * 2 ** -12 * 15) / 2;
    const n = 32;
    const rows = (first: readonly number[], others: number) => Array.from({ length: 2 * n }, (_, i) => (i % n ? others : first[i / n]));
    const W = ops.fromFloats(rows([middle, -middle], 0.1), [2, n]);
    const rest = ops.fromFloats(rows([2 ** -30, -(2 ** -30)], 0), [2, n]);
    const identity = Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? 0 : 1));
    const H = ops.fromFloats(identity, [n, n]);
    const recipe = recipeOf({ method, bits: 4, symmetric: true, groupSize }, { actOrder });
    const scales = async (lost: typeof rest | null) => {
      const { layers } = await quantizers[method].quantize(await factored(ops, recipe, stageOf(recipe, W, H, null, lost)), recipe, ops);
      return [...(await ops.read([onGrid(layers[0]).grid.scales]))[0]];
    };
    expect(await scales(null)).toEqual([2 ** -2, 2 ** -2]);
    expect(await scales(rest)).toEqual([1025 * 2 ** -12, 1025 * 2 ** -12]);
  },
);

test("a whole run with GPTQ and QEP ends with less error than RTN, and tells of every factor once", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const last = async (recipe: Recipe) => (await run({ ops, model, tokens: tinyTokens(8, 16), recipe, emit: () => {} })).report;
  const a = await last(recipeWith({ bits: 3 }, { alpha: 0 }));
  const b = await last(recipeOf({}));
  expect(b.blocks.at(-1)!.delta).toBeLessThan(a.blocks.at(-1)!.delta);
  expect(b.layers.find((l) => l.kind === "q_proj")!.damping).toEqual([0.01]);
  expect(b.layers.find((l) => l.kind === "down_proj")!.damping).toEqual([0.01]);
  expect(b.layers.every((l) => l.retries === 0)).toBe(true);
});
