import { expect, test } from "vitest";
import { planSummary } from "../../src/engine/plan";
import { entriesOf, exportJob } from "../../src/export/entries";
import { tensorBytes } from "../../src/io/dtype";
import { bytesFile } from "../../src/io/memory";
import type { Dtype } from "../../src/io/types";
import { openModel } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import { defaultBudget } from "../../src/ops/activations";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const calibration = { tokens: tinyTokens(8, 16), heldOut: tinyTokens(2, 16) };
const circumstances = { rate: 1e-6, stream: "unrecorded" as const, perChunk: 1000, budget: defaultBudget };
const wide = { ...tinyConfig, hidden_size: 32, head_dim: 8, intermediate_size: 64, tie_word_embeddings: true };

async function warningsOf(recipe: Recipe, more: string[] = [], config = wide): Promise<string> {
  const source = tinySource(config);
  const files = [...source.files, ...more.map((name) => bytesFile(name, "{}"))];
  const opened = await openModel({ ...source, files });
  const model = recipe.rotation === null ? opened : await rotateModel(opened, recipe.rotation);
  return (await planSummary(model, resolve(recipe, model), calibration, circumstances)).warnings.join(" ");
}

test("says before any work what GPTQModel and transformers.js will refuse, and what a rotation costs", async () => {
  expect(await warningsOf(recipeWith({ format: "gptq" }))).toMatch(/GPTQModel and mlx-lm load no checkpoint without a tokenizer/);
  expect(await warningsOf(recipeWith({ format: "gptq" }), ["tokenizer.json"])).toBe("");
  const heads = { ...wide, head_dim: 16 };
  expect(await warningsOf(recipeWith({ format: "onnx" }), [], heads)).toBe("transformers.js needs a tokenizer: add tokenizer.json for it.");
  expect(await warningsOf(recipeWith({ format: "onnx" }), ["tokenizer.json"], heads)).toBe("");
  expect(await warningsOf(recipeWith())).toBe("");
  expect(await warningsOf(recipeWith({ rotation: 0 }))).toMatch(/holds it twice/);
});

test.each<[string, Partial<Recipe>]>([
  ["GPTQ", { format: "gptq", groupSize: 32 }],
  ["AWQ", { format: "awq", groupSize: 32 }],
  ["compressed-tensors", { format: "compressed-tensors", groupSize: 32 }],
  ["compressed-tensors, symmetric", { format: "compressed-tensors", groupSize: 32, symmetric: true }],
  ["MLX", { format: "mlx", groupSize: 32 }],
  ["MLX of rows", { format: "mlx" }],
  ["ONNX", { format: "onnx", groupSize: 32 }],
])("bits per weight are what the layers take in the file: %s", async (_, change) => {
  const model = await openModel(tinySource(packableConfig));
  const plan = resolve(recipeWith({ method: "rtn", bits: 4, ...change }), model);
  const { bitsPerWeight, quantizedWeights } = await planSummary(model, plan, calibration, circumstances);
  // Order and shape of a layer are not counted to its weights: they vanish in real sizes.
  const parts = entriesOf(exportJob(model, plan)).filter(({ spec: { name } }) => /_proj/.test(name) && !/g_idx|weight_shape/.test(name));
  const bytes = parts.reduce((sum, { spec }) => sum + tensorBytes(spec.dtype as Dtype, spec.shape), 0);
  expect(bitsPerWeight).toBeCloseTo((8 * bytes) / quantizedWeights, 9);
});

test("counts rules in bits and bytes, and held-out windows in work", async () => {
  const model = await openModel(tinySource(wide));
  const of = (recipe: Recipe) => planSummary(model, resolve(recipe, model), calibration, circumstances);
  const all = await of(recipeWith({ bits: 4 }));
  const down = await of(recipeWith({ bits: 4, rules: [{ match: "down_proj", bits: 8 }] }));
  // down_proj is 2048 of a block's 8192 + 512 weights; its rows' zeros grow too.
  const weights = all.quantizedWeights / 3;
  expect(down.bitsPerWeight - all.bitsPerWeight).toBeCloseTo((4 * 2048 + 4 * 32) / weights, 9);
  // 3-bit codes in 4 bits, one f32 scale and one 4-bit zero for each 32 inputs.
  const heads = await openModel(tinySource({ ...wide, head_dim: 16 }));
  const onnx = await planSummary(heads, resolve(recipeWith({ bits: 3, groupSize: 32, format: "onnx" }), heads), calibration, circumstances);
  expect(onnx.bitsPerWeight).toBeGreaterThan(4 + (32 + 4) / 32);
  // A row of 32 inputs has a zero of 4 bits in a byte of its own.
  expect(onnx.bitsPerWeight).toBeLessThan(4 + (32 + 8) / 32);
  const many = { tokens: tinyTokens(1, 16), heldOut: tinyTokens(16, 16) };
  const few = { tokens: tinyTokens(16, 16), heldOut: tinyTokens(1, 16) };
  const best = resolve(recipeWith({}, { choice: "best" }), model);
  const peak = async (c: typeof many) => (await planSummary(model, best, c, circumstances)).peakGpuBytes;
  // The largest chunk is the held-out one.
  expect(await peak(many)).toBe(await peak(few));
  const choosing = await of(recipeWith({}, { choice: "best" }));
  expect(choosing.heldOutWindows).toBe(2);
  expect(choosing.seconds).toBeGreaterThan(all.seconds);
});
