import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { resolve } from "../../src/quant/resolve";
import type { LayerRule } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const runWith = async (rules: LayerRule[]) => {
  const ops = createCpuOps();
  const model = await openModel(tinySource({ ...tinyConfig, intermediate_size: 64 }));
  const result = await run({ ops, model, tokens: tinyTokens(6, 16), recipe: recipeWith({ rules, bits: 3 }), emit: () => {} });
  expect(ops.liveBytes).toBe(0);
  return result;
};

describe("rules", () => {
  test("give layers of one stage their own bits, groups and methods, and leave the others as they are", async () => {
    const { report, quantized } = await runWith([
      { match: "v_proj", method: "gptq", bits: 8 },
      { match: "layers.1.*down_proj", groupSize: 32 },
      { match: "layers.2.mlp.down_proj", method: "quip", alpha: 1 },
    ]);
    const plain = await runWith([]);
    const layer = (name: string) => report.layers.find((l) => l.name === name)!;
    expect(layer("model.layers.0.self_attn.v_proj")).toMatchObject({ method: "gptq", bits: 8 });
    expect(layer("model.layers.0.self_attn.q_proj")).toMatchObject({ method: "rtn", bits: 3 });
    expect(layer("model.layers.2.mlp.down_proj")).toMatchObject({ method: "quip", alpha: 1 });
    const stored = async (name: string) => (await quantized.layer(name))!;
    expect(await stored("model.layers.0.self_attn.v_proj")).toMatchObject({ kind: "packed", bits: 8 });
    expect((await stored("model.layers.2.mlp.down_proj")).kind).toBe("dense");
    const down = await stored("model.layers.1.mlp.down_proj");
    expect(down.kind === "packed" && down.scales.length).toBe((down.shape[0] * down.shape[1]) / 32);
    // The first block's q has not seen any of it.
    expect(await stored("model.layers.0.self_attn.q_proj")).toEqual(await plain.quantized.layer("model.layers.0.self_attn.q_proj"));
  });

  test("give a layer between two others another method, and each still gets its own weights", async () => {
    const { report } = await runWith([{ match: "k_proj", method: "gptq", bits: 8 }]);
    const errorOf = (kind: string) => report.layers.find((l) => l.block === 0 && l.kind === kind)!.relativeError;
    expect(errorOf("k_proj")).toBeLessThan(0.001);
    for (const kind of ["q_proj", "v_proj"]) expect(errorOf(kind)).toBeLessThan(0.1);
  });

  test.each<[string, LayerRule, RegExp]>([
    ["a name that is no layer's", { match: "z_proj", bits: 8 }, /“z_proj” matches no layer/],
    ["AWQ for a part of a stage", { match: "v_proj", method: "awq" }, /block 1: rtn and awq for q_proj, k_proj, v_proj/],
    ["groups that do not divide", { match: "down_proj", groupSize: 128 }, /128 does not divide the \d+ inputs of down_proj/],
    ["groups for QuIP", { match: "o_proj", method: "quip", groupSize: 32 }, /QuIP has one scale/],
  ])("%s is refused", async (_, rule, words) => {
    const model = await openModel(tinySource());
    expect(() => resolve(recipeWith({ rules: [rule] }), model)).toThrow(words);
  });
});

describe("windows held out", () => {
  const setUp = async (choice: "given" | "guarded" | "best", alpha = 0.5, held = 2) => {
    const ops = createCpuOps();
    const model = await openModel(tinySource());
    const all = tinyTokens(6 + held, 16);
    const tokens = { ...all, windows: 6, ids: all.ids.subarray(0, 96) };
    const heldOut = held ? { ...all, windows: held, ids: all.ids.subarray(96) } : null;
    const recipe = recipeWith({ bits: 3, rules: [{ match: "layers.1.self_attn.o_proj", alpha: 0.75 }] }, { choice, alpha });
    return run({ ops, model, tokens, heldOut, recipe, emit: () => {} });
  };

  test("change nothing where the recipe gives α, and are in no figure of the calibration text", async () => {
    const without = await setUp("given", 0.5, 0);
    const { report } = await setUp("given");
    expect(report.blocks).toEqual(without.report.blocks);
    expect(report.layers.map((l) => l.relativeError)).toEqual(without.report.layers.map((l) => l.relativeError));
  });

  test("choose for each layer the α of least error on them, by their own curve", async () => {
    const { report } = await setUp("best");
    const free = report.layers.filter((l) => l.name !== "model.layers.1.self_attn.o_proj");
    expect(report.layers.find((l) => l.name === "model.layers.1.self_attn.o_proj")!.alpha).toBe(0.75);
    for (const { alpha, heldOut } of free) {
      const { base, slope, curvature } = heldOut!.curve;
      const error = (a: number) => base - 2 * slope * a + curvature * a * a;
      for (let a = 0; a <= 1; a += 0.05) expect(error(alpha)).toBeLessThanOrEqual(error(a) + 1e-6 * base + 1e-15);
    }
    expect(new Set(free.map((l) => l.alpha)).size).toBeGreaterThan(3);
    // Not even down_proj is left out.
    expect(free.some((l) => l.kind === "down_proj" && l.alpha > 0)).toBe(true);
  });

  test("guard: α is 0 exactly where it would err more on them", async () => {
    const { report } = await setUp("guarded", 1);
    const looked = report.layers.filter((l) => l.kind !== "down_proj" && l.name !== "model.layers.1.self_attn.o_proj" && l.heldOut);
    expect(looked.length).toBeGreaterThan(10);
    for (const { alpha, heldOut } of looked) expect(alpha).toBe(heldOut!.curve.curvature > 2 * heldOut!.curve.slope ? 0 : 1);
    expect(new Set(looked.map((l) => l.alpha))).toEqual(new Set([0, 1]));
  });

  test("tell a curve that is the measured error, where rounding is small beside it", async () => {
    const ops = createCpuOps();
    const model = await openModel(tinySource());
    const all = tinyTokens(8, 16);
    const tokens = { ...all, windows: 6, ids: all.ids.subarray(0, 96) };
    const heldOut = { ...all, windows: 2, ids: all.ids.subarray(96) };
    const rules: LayerRule[] = [{ match: "o_proj", bits: 8, alpha: 0.6 }];
    const recipe = recipeWith({ bits: 3, rules }, { choice: "guarded" });
    const { report } = await run({ ops, model, tokens, heldOut, recipe, emit: () => {} });
    const o = report.layers.find((l) => l.block === 2 && l.kind === "o_proj")!;
    const { base, slope, curvature } = o.heldOut!.curve;
    const predicted = base - 2 * slope * 0.6 + curvature * 0.36;
    expect(o.heldOut!.relativeError).toBeGreaterThan(0.9 * predicted);
    expect(o.heldOut!.relativeError).toBeLessThan(1.1 * predicted + 2e-4);
  });
});
