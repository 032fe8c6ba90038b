/** Made-up Llamas to run: real shapes at any size. */
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { type Model, openModel } from "../../src/model/checkpoint";
import type { Ops } from "../../src/ops/ops";
import type { Recipe } from "../../src/recipe/recipe";
import type { RunReport } from "../../src/results/report";
import { run } from "../../tests/support/engine";
import { configs, generatedSource } from "../../tests/support/generated";
import { recipeWith } from "../../tests/support/recipe";
import { tinyTokens } from "../../tests/support/tiny";

export interface Size {
  hidden: number;
  intermediate: number;
  blocks: number;
  heads: number;
  vocabulary: number;
}

export interface Windows {
  windows: number;
  length: number;
}

export const configOf = ({ hidden, intermediate, blocks, heads, vocabulary }: Size): Record<string, unknown> => ({
  ...configs["Llama-2-7B"],
  ...{ hidden_size: hidden, intermediate_size: intermediate, num_hidden_layers: blocks, vocab_size: vocabulary },
  ...{ num_attention_heads: heads, num_key_value_heads: heads },
});

/** A source whose bytes are all made now, so that making them is in no time that is measured later. */
export async function made(source: Source): Promise<Source> {
  const files = await Promise.all(source.files.map(async (file) => bytesFile(file.name, await file.read(0, file.size))));
  return memorySource(source.label, files);
}

export const openMade = async (size: Size): Promise<Model> => openModel(await made(generatedSource("made up", configOf(size))));

export const tokensFor = ({ windows, length }: Windows, { vocabulary }: Size) => tinyTokens(windows, length, vocabulary);

/** 4 bits in groups of 128, as most files are published. `downProj` is its own α: QEP leaves that layer out unless a rule names it. */
export const recipeOf = (method: Recipe["method"], alpha: number, downProj = alpha): Recipe =>
  recipeWith({ method, bits: 4, groupSize: 128, rules: [{ match: "down_proj", alpha: downProj }] }, { alpha });

export async function report(ops: Ops, model: Model, size: Size, windows: Windows, recipe: Recipe): Promise<RunReport> {
  const outcome = await run({ ops, model, tokens: tokensFor(windows, size), recipe });
  const off = outcome.report.layers.find(({ relativeError, fallback }) => !(relativeError >= 0 && relativeError < 1) || fallback);
  if (off) throw new Error(`${off.name}: ${off.fallback ?? `a relative error of ${off.relativeError}`}`);
  return outcome.report;
}
