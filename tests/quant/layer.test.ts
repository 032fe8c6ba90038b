import { describe, expect, test } from "vitest";
import { accumulate } from "../../src/engine/statistics";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops, Tensor } from "../../src/ops/ops";
import { inverseFactor } from "../../src/quant/factor";
import { gptq } from "../../src/quant/gptq";
import { randomOrthogonal } from "../../src/quant/orthogonal";
import { crossed, directionOf } from "../../src/quant/qep";
import { quip } from "../../src/quant/quip";
import { roundToNearest } from "../../src/quant/rtn";
import type { Recipe } from "../../src/recipe/recipe";
import { activationsOf } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { openLayer } from "../support/layer";
import { recipeWith } from "../support/recipe";
import { factored, onGrid, stageOf } from "../support/stage";

const layer = await openLayer();

const gptqWith = (change: Partial<Recipe>, options: Partial<Recipe["gptq"]> = {}): Recipe =>
  recipeWith({ method: "gptq", ...change, gptq: options });

/** ‖a − b‖ / ‖b‖ */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference / norm);
}

const adapters: { name: string; open: () => Promise<Ops> | Ops }[] = [
  { name: "the float64 reference", open: createCpuOps },
  { name: "WebGPU", open: () => openGpuOps() },
];

test.each([
  [96, 1],
  [320, 2],
  [64, 3],
])("QuIP's orthogonal draw of %i from seed %i is the oracle's", async (n, seed) => {
  const want = (await layer.floats(`ortho.${n}.${seed}`)).data;
  const ours = randomOrthogonal(n, seed);
  for (let i = 0; i < n * n; i++) expect(Math.abs(ours[i] - want[i])).toBeLessThan(1e-6);
});

describe.each(adapters)("the oracle's layer on $name", ({ open }) => {
  const opening = Promise.resolve(open());

  const load = async (ops: Ops, name: string): Promise<Tensor> => {
    const { data, shape } = await layer.floats(name);
    return ops.fromFloats(data, shape);
  };

  test("H and C agree within 1e-5", async () => {
    const ops = await opening;
    const [x, xq] = [await load(ops, "X"), await load(ops, "Xq")];
    const tokens = 1024;
    // In four chunks, as a run accumulates them.
    const part = (t: ArrayLike<number>, c: number) =>
      activationsOf(ops).hold(ops.fromFloats(Array.from(t).slice(c * 256 * 320, (c + 1) * 256 * 320), [256, 320]));
    const parts = (t: ArrayLike<number>) => Promise.all([0, 1, 2, 3].map((c) => part(t, c)));
    const [X, Xq] = await ops.read([x, xq]);
    const [xs, xqs] = [await parts(X), await parts(Xq)];
    const { H, C } = await accumulate(ops, { chunks: 4, x: (c) => xs[c], xq: (c) => xqs[c] }, [await load(ops, "W")], tokens, {
      H: true,
      C: true,
    });
    const [h, c] = await ops.read([H!, C!]);
    expect(relative(h, (await layer.floats("H")).data)).toBeLessThan(1e-5);
    expect(relative(c, (await layer.floats("C")).data)).toBeLessThan(1e-5);
  });

  test.each([0.5, 1].flatMap((alpha) => [0.01, 1].flatMap((damp) => [false, true].map((actOrder) => ({ alpha, damp, actOrder })))))(
    "W* at α $alpha, damping $damp agrees within 1e-4 (inputs by descending diagonal: $actOrder)",
    async ({ alpha, damp, actOrder }) => {
      const ops = await opening;
      const [W, H, C] = [await load(ops, "W"), await load(ops, "H"), await load(ops, "C")];
      const factor = await inverseFactor(ops, H, { damp, actOrder });
      expect(factor.U).not.toBe(null);
      expect(factor.tried).toEqual([damp]);
      const { live, D } = directionOf(ops, W, crossed(ops, W, C, factor.dead), factor);
      const [star] = await ops.read([ops.addExactly(live, D, alpha).sum]);
      expect(relative(star, (await layer.floats(`W_star.${alpha}.${damp}`)).data)).toBeLessThan(1e-4);
      // Input 200 is dead: its column is zero.
      for (let row = 0; row < 96; row++) expect(star[row * 320 + 200]).toBe(0);
    },
  );

  test("W* and its rest add up to W + α·D to the last bit", async () => {
    const ops = await opening;
    const [W, H, C] = [await load(ops, "W"), await load(ops, "H"), await load(ops, "C")];
    const factor = await inverseFactor(ops, H, { damp: 0.01, actOrder: false });
    const { live, D } = directionOf(ops, W, crossed(ops, W, C, factor.dead), factor);
    const { sum, rest } = ops.addExactly(live, D, 0.5);
    const [w, d, a, r] = await ops.read([live, D, sum, rest]);
    const off = Array.from(w, (x, i) => a[i] + r[i] - (x + 0.5 * d[i]));
    expect(Math.max(...off.map(Math.abs))).toBeLessThan(2 ** -50);
    // Half a last digit of W* is thousands of times as much.
    if (ops.adapter.kind === "gpu") expect(Math.max(...r.map(Math.abs))).toBeGreaterThan(2 ** -30);
  });

  test.each([
    { name: "rtn.4", recipe: recipeWith({ bits: 4 }) },
    { name: "rtn.3.g32.sym", recipe: recipeWith({ bits: 3, groupSize: 32, symmetric: true }) },
    { name: "rtn.2.g64", recipe: recipeWith({ bits: 2, groupSize: 64 }) },
  ])("$name: scales and zeros agree, and 99.5 % of the codes", async ({ name, recipe }) => {
    const ops = await opening;
    const { codes, grid } = roundToNearest(await load(ops, "W"), recipe, ops);
    const ours = await ops.readUints(codes);
    const [scales, zeros] = await ops.read([grid.scales, grid.zeros]);
    const want = await layer.codes(`${name}.codes`);
    const same = ours.reduce((count, code, i) => count + Number(code === want[i]), 0);
    expect(same / want.length).toBeGreaterThanOrEqual(0.995);
    expect(relative(scales, (await layer.floats(`${name}.scales`)).data)).toBeLessThan(1e-4);
    expect(relative(zeros, (await layer.floats(`${name}.zeros`)).data)).toBeLessThan(1e-2);
  });

  test("quip.3: the weights agree", async () => {
    const ops = await opening;
    const [star, H] = [await load(ops, "W_star.0.5.0.01"), await load(ops, "H")];
    const quipRecipe = recipeWith({ method: "quip", bits: 3 });
    const [result] = (await quip.quantize(stageOf(quipRecipe, star, H), quipRecipe, ops)).layers;
    expect(result.fallback).toBe(null);
    if ("codes" in result) throw new Error("QuIP's weights are dense");
    const [ours] = await ops.read([result.weight]);
    // A flipped code moves its row by a fraction of a step: 99.5 % equal codes keep the weights within a few percent.
    expect(relative(ours, (await layer.floats("quip.3.weight")).data)).toBeLessThan(0.02);
  });

  // Its 320 inputs take two trailing updates; a flipped code early in a row changes the later ones, hence not all of them.
  test.each([
    { name: "gptq.4", recipe: gptqWith({ bits: 4 }) },
    { name: "gptq.3", recipe: gptqWith({ bits: 3 }) },
    { name: "gptq.2", recipe: gptqWith({ bits: 2 }) },
    { name: "gptq.4.g64.sym", recipe: gptqWith({ bits: 4, groupSize: 64, symmetric: true }) },
    { name: "gptq.3.g32", recipe: gptqWith({ bits: 3, groupSize: 32 }) },
    { name: "gptq.3.g32.act", recipe: gptqWith({ bits: 3, groupSize: 32 }, { actOrder: true }) },
    { name: "gptq.3.mse", recipe: gptqWith({ bits: 3 }, { mse: true }) },
  ])("$name: 99.5 % of the codes agree", async ({ name, recipe }) => {
    const ops = await opening;
    const [star, H] = [await load(ops, "W_star.0.5.0.01"), await load(ops, "H")];
    const [result] = (await gptq.quantize(await factored(ops, recipe, stageOf(recipe, star, H)), recipe, ops)).layers;
    const { codes, grid, damping, fallback } = onGrid(result);
    expect({ damping, fallback }).toEqual({ damping: [0.01], fallback: null });
    const ours = await ops.readUints(codes);
    const want = await layer.codes(`${name}.codes`);
    const same = ours.reduce((count, code, i) => count + Number(code === want[i]), 0);
    expect(same / want.length).toBeGreaterThanOrEqual(0.995);
    const [scales] = await ops.read([grid.scales]);
    expect(relative(scales, (await layer.floats(`${name}.scales`)).data)).toBeLessThan(1e-3);
  });
});
