import { expect, test } from "vitest";
import { entriesOf, exportJob } from "../../src/export/entries";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber } from "../../src/io/dtype";
import { openModel } from "../../src/model/checkpoint";
import { codesOf } from "../../src/ops/packed";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { exportedTo, packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { tinySource } from "../support/tiny";

const exported = (change: Partial<Recipe>) => exportedTo({ format: "awq", bits: 4, ...change });
const view = (bytes: Uint8Array) => new DataView(new Uint8Array(bytes).buffer);

/** AutoAWQ's order, as its packer has it: nibble j of a word holds output 8c + order[j]. */
const order = [0, 2, 4, 6, 1, 3, 5, 7];
function nibbleOf(words: DataView, columns: number, row: number, output: number): number {
  const word = words.getUint32(4 * (row * columns + Math.floor(output / 8)), true);
  return (word >>> (4 * order.indexOf(output % 8))) & 15;
}

test.each<Partial<Recipe>>([
  { groupSize: 32, symmetric: true },
  { groupSize: 32, method: "gptq" },
  { groupSize: -1, method: "awq" },
])("%j: every code, zero and scale stands where the format puts it", async (change) => {
  const { shards, source, ...result } = await exported(change);
  await verifyCheckpoint(source, result.model, result.plan, result.quantized);
  for (const { name, ...layer } of await packed(result)) {
    const [out, n] = layer.shape;
    const groups = layer.scales.length / out;
    const part = async (last: string) => view(await shards.readTensor(`${name}.${last}`));
    expect(shards.tensors.get(`${name}.qweight`)).toMatchObject({ dtype: "I32", shape: [n, out / 8] });
    const [weights, zeros, scales] = [await part("qweight"), await part("qzeros"), await part("scales")];
    const codes = codesOf({ ...layer });
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < n; i++) expect(nibbleOf(weights, out / 8, i, o)).toBe(codes[o * n + i]);
      for (let g = 0; g < groups; g++) {
        expect(nibbleOf(zeros, out / 8, g, o)).toBe(layer.zeros[o * groups + g]);
        expect(f16ToNumber(scales.getUint16(2 * (g * out + o), true))).toBe(layer.scales[o * groups + g]);
      }
    }
  }
});

test("config.json has the settings, and the blocks that stay floats, which no name of another block contains", async () => {
  const plain = { quant_method: "awq", version: "gemm", bits: 4, group_size: 32, zero_point: true, modules_to_not_convert: null };
  expect((await exported({ groupSize: 32 })).config).toMatchObject({ torch_dtype: "float16", quantization_config: plain });
  const { config, shards } = await exported({ groupSize: 32, blocks: 1 });
  expect(config.quantization_config.modules_to_not_convert).toEqual(["model.layers.1.self_attn", "model.layers.1.mlp"]);
  expect(shards.tensors.has("model.layers.1.mlp.up_proj.weight")).toBe(true);
});

test.each<[Partial<Recipe>, string, Record<string, unknown>?]>([
  [{ bits: 3 }, "model.layers.0.self_attn.q_proj would have 3 bits, and AWQ has 4"],
  [{ rules: [{ match: "o_proj", bits: 8 }] }, "model.layers.0.self_attn.o_proj would have 8 bits"],
  [{ rules: [{ match: "o_proj", groupSize: -1 }] }, "another group size than the recipe"],
  [{ zeros: "real" }, "the awq format has no place for them"],
  [{ groupSize: -1 }, "the 52 outputs of model.layers.0.self_attn.o_proj do not fill AWQ's words", { hidden_size: 52 }],
])("%j is refused before any work", async (change, words, shape) => {
  const model = await openModel(tinySource({ ...packableConfig, ...shape }));
  const recipe = recipeWith({ format: "awq", bits: 4, groupSize: 32, ...change });
  expect(() => entriesOf(exportJob(model, resolve(recipe, model)))).toThrow(words);
});
