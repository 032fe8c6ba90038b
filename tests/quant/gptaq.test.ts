import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { gptaq } from "../../src/quant/gptaq";
import { gptq } from "../../src/quant/gptq";
import { run } from "../support/engine";
import { openLayer } from "../support/layer";
import { recipeWith } from "../support/recipe";
import { factored, onGrid, stageOf } from "../support/stage";
import { tinySource, tinyTokens } from "../support/tiny";

const layer = await openLayer();

async function codes(ops: Ops, alpha: number, drift: "theirs" | "none") {
  const load = async (name: string) => {
    const { data, shape } = await layer.floats(name);
    return ops.fromFloats(data, shape);
  };
  const [W, H] = [await load("W"), await load("H")];
  const C = drift === "theirs" ? await load("C") : ops.zeros(H.shape);
  const recipe = recipeWith({ method: "gptaq", bits: 3, gptaq: { alpha } });
  const [asymmetric] = (await gptaq.quantize(await factored(ops, recipe, stageOf(recipe, W, H, C)), recipe, ops)).layers;
  const [plain] = (await gptq.quantize(await factored(ops, recipe, stageOf(recipe, W, H)), recipe, ops)).layers;
  const weights = (result: typeof plain) => ops.decode(onGrid(result).codes, onGrid(result).grid);
  return ops.read([weights(asymmetric), weights(plain), W]);
}

test("without drift, or without strength, GPTAQ is GPTQ", async () => {
  const ops = createCpuOps();
  for (const [alpha, drift] of [
    [1, "none"],
    [0, "theirs"],
  ] as const) {
    const [asymmetric, plain] = await codes(ops, alpha, drift);
    expect(asymmetric).toEqual(plain);
  }
});

// At its usual strength. Far above it the published form, which weighs P with columns that already carry feedback, overshoots at 3 bits.
test("with drift it answers the upstream error: less of ‖WX − ŴX̂‖² than GPTQ", async () => {
  const ops = createCpuOps();
  const [asymmetric, plain, W] = await codes(ops, 0.25, "theirs");
  const [X, Xq] = [(await layer.floats("X")).data, (await layer.floats("Xq")).data];
  const error = (other: ArrayLike<number>) => {
    let sum = 0;
    for (let t = 0; t < 1024; t += 8)
      for (let o = 0; o < 96; o += 3) {
        let e = 0;
        for (let i = 0; i < 320; i++) e += W[o * 320 + i] * X[t * 320 + i] - other[o * 320 + i] * Xq[t * 320 + i];
        sum += e * e;
      }
    return sum;
  };
  expect(error(asymmetric)).toBeLessThan(error(plain));
});

test("a run with it frees everything and stays finite", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const { report } = await run({ ops, model, tokens: tinyTokens(), recipe: recipeWith({ method: "gptaq", bits: 3 }), emit: () => {} });
  expect(report.blocks.every((b) => Number.isFinite(b.delta))).toBe(true);
  expect(ops.liveBytes).toBe(0);
});
