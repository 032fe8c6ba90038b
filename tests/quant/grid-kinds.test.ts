import { describe, expect, test } from "vitest";
import { toF16 } from "../../src/io/dtype";
import { createCpuOps } from "../../src/ops/cpu";
import type { GridKind } from "../../src/ops/grid-kinds";
import type { Ops, Tensor } from "../../src/ops/ops";
import { codeLayer, divideRows, restoreLayer } from "../../src/quant/coded";
import { gridSpec, type StageView } from "../../src/quant/quantizer";
import { quantizers } from "../../src/quant/registry";
import { roundToNearest } from "../../src/quant/rtn";
import { defaultRecipe, type Recipe } from "../../src/recipe/recipe";
import { activationsOf } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { openLayer } from "../support/layer";
import { recipeWith } from "../support/recipe";
import { factored, onGrid } from "../support/stage";

const layer = await openLayer();
const kinds = ["integer-zero", "real-zero"] as const;

const load = async (ops: Ops, name: string): Promise<Tensor> => {
  const { data, shape } = await layer.floats(name);
  return ops.fromFloats(data, shape);
};

/** The oracle's layer as a stage of one v_proj on a grid of this kind, its output W·X. */
async function stageOn(ops: Ops, recipe: Recipe, kind: GridKind): Promise<{ view: StageView; inputs: { x: Tensor; xq: Tensor } }> {
  const [weight, X, Xq, H, C] = await Promise.all(["W", "X", "Xq", "H", "C"].map((name) => load(ops, name)));
  // AWQ runs the module for every exponent: a part of the tokens will do.
  const [x, xq] = [X, Xq].map((t) => ops.everyRow(t, 0, 32));
  const grid = gridSpec({ bits: recipe.bits, groupSize: recipe.groupSize, symmetric: false, kind });
  const layers = [{ kind: "v_proj" as const, name: "layer", weight, grid, rest: null }];
  const held = await activationsOf(ops).hold(x);
  const view: StageView = {
    block: 0,
    layers,
    H,
    diagonal: null,
    C,
    factor: null,
    tokens: x.shape[0],
    length: 1,
    chunks: 1,
    x: () => held,
    moduleOutput: (inputs, [w]) => ops.linear(inputs, w),
    hold: (tensor) => activationsOf(ops).hold(tensor),
    foldable: true,
  };
  return { view, inputs: { x, xq } };
}

const known = new WeakMap<Ops, Map<string, Promise<number>>>();

/** ‖WX − ŴX‖² / ‖WX‖², in the full-precision model's inputs or in those that H is of. Several tests ask for the same one. */
function errorOf(ops: Ops, recipe: Recipe, kind: GridKind, inputs: "x" | "xq" = "xq"): Promise<number> {
  const errors = known.get(ops) ?? new Map<string, Promise<number>>();
  known.set(ops, errors);
  const key = JSON.stringify([recipe, kind, inputs]);
  const error = errors.get(key) ?? measuredError(ops, recipe, kind, inputs);
  errors.set(key, error);
  return error;
}

async function measuredError(ops: Ops, recipe: Recipe, kind: GridKind, inputs: "x" | "xq"): Promise<number> {
  const { view: stage, inputs: given } = await stageOn(ops, recipe, kind);
  const { layers, fold } = await quantizers[recipe.method].quantize(await factored(ops, recipe, stage), recipe, ops);
  const { codes, grid, fallback } = onGrid(layers[0]);
  expect(fallback).toBe(null);
  expect(grid.kind).toBe(kind);
  const acting = ops.decode(codes, grid);
  const W = fold ? ops.scaleColumns(acting, ops.fromFloats(fold, [fold.length]), true) : acting;
  const [x, w] = [given[inputs], stage.layers[0].weight];
  const [sums] = await ops.read([ops.squaredDifference(ops.linear(x, w), ops.linear(x, W))]);
  const total = (part: number) => Array.from(sums).reduce((sum, v, i) => sum + (i % 2 === part ? v : 0), 0);
  return total(0) / total(1);
}

// H is of all tokens, not of the part that the stage has.
const recipeOf = (method: Recipe["method"], bits: Recipe["bits"], groupSize: Recipe["groupSize"] = 32, actOrder = false) =>
  recipeWith({ method, bits, groupSize, gptq: { ...defaultRecipe.gptq, damp: 0.1, actOrder } });

describe.each([
  ["the float64 reference", createCpuOps],
  ["WebGPU", () => openGpuOps()],
] as const)("methods on %s know no kind of grid", (_, open) => {
  const opening = Promise.resolve<Ops>(open());

  test.each([
    ["rtn", "xq"],
    ["gptq", "xq"],
    ["gptaq", "xq"],
    ["awq", "x"],
  ] as const)("%s errs about as little with real zeros as with integer ones", async (method, inputs) => {
    const ops = await opening;
    for (const [bits, groupSize] of [
      [4, 32],
      [3, -1],
    ] as const) {
      const [integer, real] = [
        await errorOf(ops, recipeOf(method, bits, groupSize), "integer-zero", inputs),
        await errorOf(ops, recipeOf(method, bits, groupSize), "real-zero", inputs),
      ];
      expect(real).toBeLessThan(1.1 * integer);
      expect(real).toBeGreaterThan(0.5 * integer);
    }
  });

  test.each(kinds)("with %s GPTQ errs less than rounding to nearest, act-order and whole rows too", async (kind) => {
    const ops = await opening;
    const nearest = await errorOf(ops, recipeOf("rtn", 3), kind);
    expect(await errorOf(ops, recipeOf("gptq", 3), kind)).toBeLessThan(0.8 * nearest);
    expect(await errorOf(ops, recipeOf("gptq", 3, 32, true), kind)).toBeLessThan(0.8 * nearest);
    expect(await errorOf(ops, recipeOf("gptq", 3, -1), kind)).toBeLessThan(0.8 * (await errorOf(ops, recipeOf("rtn", 3, -1), kind)));
  });

  test.each(kinds)("with %s AWQ errs less than rounding to nearest", async (kind) => {
    const ops = await opening;
    expect(await errorOf(ops, recipeOf("awq", 3), kind, "x")).toBeLessThan(0.95 * (await errorOf(ops, recipeOf("rtn", 3), kind, "x")));
  });

  test("a layer with real zeros is stored, restored to the same weights, and divided by rows", async () => {
    const ops = await opening;
    const spec = gridSpec({ bits: 4, groupSize: 32, symmetric: false, kind: "real-zero" });
    const W = await load(ops, "W");
    const { codes, grid } = roundToNearest(W, spec, ops);
    const stored = await codeLayer(ops, "layer", { codes, grid, damping: [], fallback: null }, spec);
    if (stored.kind !== "packed") throw new Error("the layer is on a grid");
    expect(stored.gridKind).toBe("real-zero");
    expect([...stored.zeros].every((m) => toF16(m) === m)).toBe(true);
    expect([...stored.zeros].some((m) => !Number.isInteger(m))).toBe(true);
    const [want, got] = await ops.read([ops.decode(codes, grid), restoreLayer(ops, stored)]);
    expect(got).toEqual(want);
    const s = Float64Array.from({ length: 96 }, (_, o) => 0.7 + o / 50);
    const [divided] = await ops.read([restoreLayer(ops, divideRows(stored, s))]);
    // S and M are rounded to f16 again: half a unit of each.
    const groups = stored.scales.length / 96;
    for (const [i, w] of want.entries()) {
      const o = Math.floor(i / 320);
      const at = o * groups + Math.floor((i % 320) / 32);
      const bound = (15 * stored.scales[at] + Math.abs(stored.zeros[at])) * 2 ** -11;
      expect(Math.abs(divided[i] - w / s[o])).toBeLessThan(bound / s[o] + 2 ** -24);
    }
  });

  test("an offset beyond f16 is an error that names the layer", async () => {
    const ops = await opening;
    const spec = gridSpec({ bits: 4, groupSize: -1, symmetric: false, kind: "real-zero" });
    const { codes, grid } = roundToNearest(ops.fromFloats(new Float32Array(32).fill(7e4), [1, 32]), spec, ops);
    await expect(codeLayer(ops, "far", { codes, grid, damping: [], fallback: null }, spec)).rejects.toMatchObject({
      code: "scale-overflow",
      where: "far",
    });
  });
});

test("a symmetric grid with real zeros is a bad recipe", () => {
  expect(() => gridSpec({ bits: 4, groupSize: 32, symmetric: true, kind: "real-zero" })).toThrow(
    /a grid with real zeros .* is never symmetric/,
  );
  expect(gridSpec({ bits: 4, groupSize: 32, symmetric: true }).kind).toBe("integer-zero");
});

test("divideRows keeps every scale above 0", async () => {
  const ops = createCpuOps();
  for (const kind of kinds) {
    const spec = gridSpec({ bits: 4, groupSize: -1, symmetric: false, kind });
    const { codes, grid } = roundToNearest(ops.fromFloats([0, 1e-6, 2e-6, 3e-6], [1, 4]), spec, ops);
    const divided = divideRows(await codeLayer(ops, "small", { codes, grid, damping: [], fallback: null }, spec), [1e6]);
    expect(divided.kind === "packed" && [...divided.scales]).toEqual([2 ** -24]);
  }
});
