/** GGUF's types as grids: what each layer of a mix gets, runs on them, and what becomes of them in the run store and under AWQ's folds. */
import { expect, test } from "vitest";
import { openOutcome, readLayer, writeOutcome } from "../../src/engine/outcome-file";
import { joined } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { mulberry32 } from "../../src/model/random";
import { createCpuOps } from "../../src/ops/cpu";
import { isSuper, pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import { onSuperBlocks, partsOf } from "../../src/ops/super-matrix";
import { codeLayer, divideRows, type PackedLayer } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import { roundToNearest } from "../../src/quant/rtn";
import { types } from "../../src/quant/types";
import type { MethodId, Recipe } from "../../src/recipe/recipe";
import { type TensorType, tensorTypes } from "../../src/recipe/types";
import { run } from "../support/engine";
import { configs, generatedSource } from "../support/generated";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const wide = { ...tinyConfig, hidden_size: 256, head_dim: 64, intermediate_size: 512, num_hidden_layers: 1 };

/** The types of a model's layers as "kind: type × how many". */
async function typesOf(config: Record<string, unknown>, change: Partial<Recipe>): Promise<Record<string, string>> {
  const { layers } = resolve(recipeWith(change), await openModel(generatedSource("made", config)));
  const found: Record<string, Map<string, number>> = {};
  for (const { kind, type } of layers) {
    found[kind] ??= new Map();
    found[kind].set(type!, (found[kind].get(type!) ?? 0) + 1);
  }
  return Object.fromEntries(Object.entries(found).map(([kind, counts]) => [kind, [...counts].map(([t, n]) => `${t} × ${n}`).join(", ")]));
}

// What llama-quantize 0.5.0 reports for models of these shapes.
test("a mix gives each layer llama.cpp's type, and rows that are not whole blocks its fallback", async () => {
  expect(await typesOf(configs["Llama-2-7B"], { type: "Q4_K_M" })).toMatchObject({
    q_proj: "Q4_K × 32",
    v_proj: "Q6_K × 16, Q4_K × 16",
    down_proj: "Q6_K × 16, Q4_K × 16",
  });
  expect(await typesOf(configs["Llama-2-7B"], { type: "Q3_K_M" })).toMatchObject({
    q_proj: "Q3_K × 32",
    v_proj: "Q5_K × 2, Q4_K × 30",
    o_proj: "Q4_K × 32",
    down_proj: "Q5_K × 2, Q4_K × 30",
  });
  // 8 key heads of 32.
  expect(await typesOf(configs["Llama-3-8B"], { type: "Q2_K_M" })).toMatchObject({ v_proj: "Q4_K × 32", k_proj: "Q2_K × 32" });
  expect(await typesOf(configs["Llama-2-7B"], { type: "Q2_K_M" })).toMatchObject({ v_proj: "Q3_K × 32", o_proj: "Q3_K × 32" });
  expect(await typesOf(configs["Llama-2-7B"], { type: "Q4_K_S" })).toMatchObject({
    v_proj: "Q5_K × 4, Q4_K × 28",
    down_proj: "Q5_K × 4, Q4_K × 28",
  });
  // SmolLM2-135M's widths: 576 inputs are no multiple of 256, 1,536 are.
  const small = { ...configs["Llama-2-7B"], hidden_size: 576, intermediate_size: 1536, num_attention_heads: 9, num_key_value_heads: 3 };
  const { q_proj, v_proj, down_proj } = await typesOf({ ...small, num_hidden_layers: 8 }, { type: "Q4_K_M" });
  expect(q_proj).toBe("Q5_0 × 8");
  expect(v_proj).toMatch(/^Q8_0 × 4, Q5_0 × 4$/);
  expect(down_proj).toMatch(/^Q6_K × 4, Q4_K × 4$/);
});

test("a rule gives a layer another type, or none; bits without a type are refused", async () => {
  const rules = [
    { match: "down_proj", type: "Q6_K" as const },
    { match: "o_proj", type: "none" as const, bits: 8 as const },
  ];
  const { layers } = resolve(recipeWith({ type: "Q4_K_S", rules }), await openModel(tinySource(wide)));
  const of = (kind: string) => layers.find((layer) => layer.kind === kind)!;
  expect(of("down_proj")).toMatchObject({ type: "Q6_K", grid: { kind: "q6_k", bits: 6, groupSize: 16 } });
  expect(of("o_proj")).toMatchObject({ type: null, grid: { kind: "integer-zero", bits: 8 } });
  const opened = await openModel(tinySource(wide));
  expect(() => resolve(recipeWith({ type: "Q4_K_S", rules: [{ match: "o_proj", bits: 8 }] }), opened)).toThrow(/Give the rule a type/);
});

/** A layer's ŵ, one after the other. */
function points(layer: PackedLayer): number[] {
  const size = (layer.shape[0] * layer.shape[1]) / layer.scales.length;
  return Array.from(codesOf(layer), (code, i) => {
    const g = Math.floor(i / size);
    return pointOf(layer.gridKind, layer.scales[g], layer.zeros[g], code);
  });
}

/** A layer of 32 × 512 random weights on a type's grid. */
async function layerOn(type: TensorType): Promise<PackedLayer> {
  const ops = createCpuOps();
  const next = mulberry32(5);
  const W = ops.fromFloats(
    Float64Array.from({ length: 32 * 512 }, () => next() / 2 ** 31 - 1),
    [32, 512],
  );
  const { grid } = types[type];
  return (await codeLayer(ops, "layer", { ...roundToNearest(W, grid, ops), damping: [], fallback: null }, grid)) as PackedLayer;
}

test.each(tensorTypes)("a layer on %s is read from the run store as it was put there", async (type) => {
  const layer = await layerOn(type);
  expect(layer.scales.some((s) => s !== 0)).toBe(true);
  const report = { block: null, layers: [], ms: 1, streamMs: 0 };
  const file = joined(writeOutcome({ index: 0, layers: [layer], replaced: new Map(), beyondF16: new Map(), report }).parts);
  const read = async (start: number, end: number) => file.slice(start, end);
  expect(points((await readLayer(await openOutcome(read), "layer", read)) as PackedLayer)).toEqual(points(layer));
  // Small integers and two factors, not two floats a group.
  const perGroup = isSuper(layer.gridKind) ? 2 + 8 / 8 : 8;
  expect(file.length).toBeLessThan(layer.words.byteLength + perGroup * layer.scales.length + 1000);
});

test.each(tensorTypes)(
  "rows of a layer on %s are divided with it: factors are rounded again, codes and small integers stay",
  async (type) => {
    const layer = await layerOn(type);
    const s = Float64Array.from({ length: 32 }, (_, o) => 0.5 + o / 10);
    const divided = divideRows(layer, s) as PackedLayer;
    const [before, after] = [points(layer), points(divided)];
    // S and M are at most twice the largest weight's size times the codes, and each is off by 2⁻¹¹ of itself.
    for (const [i, w] of after.entries()) expect(Math.abs(w * s[Math.floor(i / 512)] - before[i])).toBeLessThan(2 ** -8);
    if (onSuperBlocks(layer) && onSuperBlocks(divided)) expect(partsOf(divided)).toEqual(partsOf(layer));
  },
);

test("a run on a mix gains from error feedback, on the GPU", async () => {
  const ops = await openGpuOps();
  const model = await openModel(tinySource(wide));
  const tokens = tinyTokens(8, 32);
  const delta = async (method: MethodId) =>
    (await run({ ops, model, tokens, recipe: recipeWith({ method, type: "Q2_K_M" }, { alpha: 0.5 }) })).report.blocks[0].relativeDelta;
  expect(await delta("gptq")).toBeLessThan(0.8 * (await delta("rtn")));
});
