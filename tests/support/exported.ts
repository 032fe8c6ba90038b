/** An export in memory: the run behind it, its files, and what the strict reader finds in them. */
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { run } from "./engine";
import { recipeWith } from "./recipe";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "./tiny";

/** Rows of 64 and 96 inputs. */
export const packableConfig = {
  ...tinyConfig,
  hidden_size: 64,
  head_dim: 16,
  num_key_value_heads: 2,
  intermediate_size: 96,
  num_hidden_layers: 2,
};

export async function exportedTo(change: Partial<Recipe>, shape: Record<string, unknown> = packableConfig, tensors = tinyTensors(shape)) {
  const model = await openModel(tinySource(shape, tensors));
  const result = await run({ ops: createCpuOps(), model, tokens: tinyTokens(), recipe: recipeWith(change) });
  const sink = memorySink();
  await exportCheckpoint({ model, ...result, evaluations: [], sink });
  const source = memorySource(
    "out",
    [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
  );
  const config = JSON.parse(new TextDecoder().decode(sink.files.get("config.json")));
  return { model, ...result, source, shards: await openShards(source), files: sink.files, config };
}

/** The value of `bits` bits from `first` on in little-endian words `stride` apart, bit by bit: a second, naive reading of the packed layouts. */
export function bitsAt(words: DataView, bits: number, first: number, stride = 1, column = 0): number {
  let value = 0;
  for (let b = 0; b < bits; b++) {
    const bit = first + b;
    const word = words.getUint32(4 * (Math.floor(bit / 32) * stride + column), true);
    value |= ((word >>> (bit % 32)) & 1) << b;
  }
  return value;
}
