import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource } from "../support/tiny";

/** Three blocks; down_proj has 64 inputs, all others have 32. */
const model = () => openModel(tinySource({ ...tinyConfig, hidden_size: 32, head_dim: 8, intermediate_size: 64 }));

test("a recipe for as many blocks as there are is settled", async () => {
  const plan = resolve(recipeWith({ blocks: 3 }), await model());
  expect(plan).toMatchObject({ blocks: 3, quantizedBlocks: 3 });
  expect(plan.layers).toHaveLength(21);
});

test.each<[string, Partial<Recipe>, RegExp]>([
  ["more blocks than there are", { blocks: 4 }, /blocks is 4, but the model has only 3/],
  ["groups that divide some layers only, and told the sizes that fit all", { groupSize: 64 }, /\(the whole row\), 32\.$/],
  [
    "groups that do not divide a layer that is not quantized for now",
    { blocks: 1, rules: [{ match: "layers.2.mlp.down_proj", groupSize: 128 }] },
    /128 does not divide the 64 inputs of down_proj/,
  ],
  [
    "a place that could not load the result",
    { destination: "vllm", format: "gptq", bits: 3, symmetric: true },
    /vLLM, SGLang does not load symmetric grids of 3 bits in the gptq format\. Choose 4 bits\./,
  ],
])("a recipe is refused for %s", async (_, change, words) => {
  const opened = await model();
  expect(() => resolve(recipeWith(change), opened)).toThrow(words);
});
