import { expect, test } from "vitest";
import { safetensors } from "../../src/export/containers/safetensors";
import { entriesOf, exportJob } from "../../src/export/entries";
import { partsOf } from "../../src/export/parts";
import { verifyCheckpoint } from "../../src/export/verify";
import { bytesFile, memorySource } from "../../src/io/memory";
import { layoutFile } from "../../src/io/writer";
import { openModel } from "../../src/model/checkpoint";
import type { QuantizedModel } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import { recipeWith } from "../support/recipe";
import { safetensors as fileOf, type Tensors, tinyConfig, tinySource, tinyTensors } from "../support/tiny";

const norm = "model.norm.weight";

/** Nothing was quantized but a norm, into which a fold went; what is written are these tensors. */
async function verified(change: (tensors: Tensors) => void, config: object = { torch_dtype: "float16" }, value = 1.5): Promise<void> {
  const model = await openModel(tinySource());
  const plan = { ...resolve(recipeWith({}, { alpha: 0 }), model), layers: [] };
  const made: QuantizedModel = {
    layer: async () => null,
    replaced: new Map([[norm, new Float32Array(24).fill(value)]]),
    beyondF16: new Map(value > 65504 ? [[norm, { index: 0, value }]] : []),
  };
  const tensors = tinyTensors();
  const from = partsOf(model, made);
  for (const entry of entriesOf(exportJob(model, plan, { replaced: made.replaced, wide: made.beyondF16 }))) {
    const parts: Uint8Array[] = [];
    for await (const part of entry.bytes(from)) parts.push(part);
    tensors.set(entry.spec.name, { spec: entry.spec as never, bytes: Uint8Array.from(Buffer.concat(parts)) });
  }
  change(tensors);
  const json = JSON.stringify({ ...tinyConfig, torch_dtype: undefined, ...config });
  const written = memorySource("out", [bytesFile("config.json", json), bytesFile("model.safetensors", fileOf(tensors))]);
  await verifyCheckpoint(written, model, plan, made);
}

test("what was written as planned is verified, a fold that f16 cannot hold in f32", async () => {
  await verified(() => {});
  await verified((tensors) => expect(tensors.get(norm)!.spec.dtype).toBe("F32"), { torch_dtype: "float32" }, 1e5);
});

test.each<[string, (tensors: Tensors) => void, RegExp]>([
  [
    "another dtype",
    (t) => t.set(norm, { ...t.get(norm)!, spec: { name: norm, dtype: "BF16", shape: [24] } }),
    /model\.norm\.weight is missing/,
  ],
  [
    "another shape",
    (t) => t.set(norm, { ...t.get(norm)!, spec: { name: norm, dtype: "F16", shape: [4, 6] } }),
    /model\.norm\.weight is missing/,
  ],
  ["no such tensor", (t) => t.delete(norm), /model\.norm\.weight is missing/],
  [
    "one tensor more",
    (t) => t.set("more", { spec: { name: "more", dtype: "F16", shape: [1] }, bytes: new Uint8Array(2) }),
    /holds 31 tensors instead of 30/,
  ],
])("a file with %s is not", async (_, change, words) => {
  await expect(verified(change)).rejects.toThrow(words);
});

test("dtype counts before torch_dtype where a config has both", async () => {
  await expect(verified(() => {}, { dtype: "float16", torch_dtype: "float32" }, 1e5)).rejects.toThrow(/becomes infinite in the float16/);
  await verified(() => {}, { dtype: "float32", torch_dtype: "float16" }, 1e5);
});

test("an export of several files counts all of their bytes, the index too", () => {
  const specs = ["a", "b", "c"].map((name) => ({ name, dtype: "F32" as const, shape: [2 ** 19, 1000] }));
  const { dataBytes, fileBytes } = safetensors.layout(specs);
  expect(dataBytes).toBe(3 * 2 ** 21 * 1000);
  const files = specs.map((spec) => layoutFile([spec]).size);
  const index = fileBytes - files.reduce((sum, size) => sum + size);
  expect(index).toBeGreaterThan(3 * "model-00001-of-00003.safetensors".length);
});
