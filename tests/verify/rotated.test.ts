import { expect, test } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import { packableConfig } from "../support/exported";
import { safetensors, tinySource, tinyTensors } from "../support/tiny";
import { check, codesOf, exportFor, tensorsOf } from "./files";

async function saved({ shards, config }: Awaited<ReturnType<typeof rotateModel>>, files: Record<string, string>) {
  const texts = {
    "config.json": JSON.stringify({ ...config, torch_dtype: "float32" }),
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
    ...files,
  };
  return memorySource("rotated", [
    ...Object.entries(texts).map(([name, text]) => bytesFile(name, text)),
    bytesFile("model.safetensors", safetensors(await tensorsOf(shards))),
  ]);
}

test("an original that is rotated makes each tensor once, for all readings of it", async () => {
  const shape = { ...packableConfig, hidden_size: 288, head_dim: 72, intermediate_size: 128, num_hidden_layers: 1 };
  const { model, again } = await exportFor({ format: "gptq", method: "rtn", bits: 4, groupSize: 32 }, shape);
  const reads = new Map<string, number>();
  const readTensor: typeof model.shards.readTensor = (name, rows) => {
    reads.set(name, (reads.get(name) ?? 0) + 1);
    return model.shards.readTensor(name, rows);
  };
  const original = { ...model, shards: { ...model.shards, readTensor } };
  const found = await check(await again({ files: { "recipe.json": JSON.stringify({ rotation: 3 }) } }), { original });
  // How near the layers are does not matter here: the export itself is not rotated.
  expect(found.layers).toHaveLength(7);
  for (const layer of ["self_attn.o_proj", "mlp.down_proj"]) expect(reads.get(`model.layers.0.${layer}.weight`), layer).toBe(1);
});

test("a rotated model is compared in the basis that its recipe.json names", async () => {
  const model = await openModel(tinySource(packableConfig, tinyTensors(packableConfig)));
  const rotated = await rotateModel(model, 3);
  const told = await check(await saved(rotated, { "recipe.json": JSON.stringify({ rotation: 3 }) }), { original: model });
  expect(codesOf(told)).toEqual([]);
  expect(told.layers!.map(({ error }) => error)).toEqual(new Array(14).fill(0));
  const untold = await check(await saved(rotated, {}), { original: model });
  expect(codesOf(untold)).toEqual(["error far-from-original"]);
});
