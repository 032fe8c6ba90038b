/** Small models whose sizes GGUF's blocks divide, with the demo's tokenizer. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { type Model, openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { demoFolder } from "./demo";
import { run } from "./engine";
import { recipeWith } from "./recipe";
import { safetensors, type Tensors, tinyConfig, tinyTensors, tinyTokens } from "./tiny";

export const blockConfig = {
  ...tinyConfig,
  hidden_size: 128,
  head_dim: 32,
  intermediate_size: 128,
  num_hidden_layers: 1,
  vocab_size: 1024,
  eos_token_id: 1,
};

/** Every field of a file that a test may want to be another, by name; null: it is not there. */
export function blockSource(
  config: object = {},
  files: Record<string, string | Uint8Array | null> = {},
  change: (tensors: Tensors) => void = () => {},
): Source {
  const whole = { ...blockConfig, ...config };
  const tensors = tinyTensors(whole);
  change(tensors);
  const texts: Record<string, string | Uint8Array | null> = {
    "config.json": JSON.stringify(whole),
    "tokenizer.json": readFileSync(join(demoFolder, "tokenizer.json"), "utf8"),
    "tokenizer_config.json": readFileSync(join(demoFolder, "tokenizer_config.json"), "utf8"),
    ...files,
  };
  return memorySource("a/../Model 1", [
    ...Object.entries(texts).flatMap(([name, text]) => (text === null ? [] : [bytesFile(name, text)])),
    bytesFile("model.safetensors", safetensors(tensors)),
  ]);
}

/** A run of two short windows on the reference, and its export. */
export async function exportOf(source: Source, change: Partial<Recipe>, given?: Model) {
  const model = given ?? (await openModel(source));
  const recipe = recipeWith({ format: "gguf", symmetric: true, ...change }, { alpha: 0 });
  const finished = await run({ ops: createCpuOps(), model, tokens: tinyTokens(2, 8, 1024), recipe });
  const sink = memorySink();
  await exportCheckpoint({ model, ...finished, evaluations: [], sink });
  return { model, ...finished, files: sink.files };
}
