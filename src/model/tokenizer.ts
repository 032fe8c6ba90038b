import { QuantError } from "../errors";
import { readJson } from "../io/json";
import { findFile } from "../io/source";
import type { Source } from "../io/types";

/** Text to ids, through the tokenizer's own template (so that a document starts as the model expects, with BOS for Llama). */
export interface Encoder {
  encode(text: string): number[];
}

const limit = 50 * 2 ** 20;

/**
 * The checkpoint's tokenizer.json. The library is loaded on first use: opening a model does not need it.
 * @throws QuantError `missing-file` or `bad-tokenizer`.
 */
export async function openTokenizer(source: Source): Promise<Encoder> {
  const file = findFile(source, "tokenizer.json");
  if (!file)
    throw new QuantError("missing-file", "tokenizer.json", "Add it to the model's files, or give token ids as .npy instead of text.");
  const settings = findFile(source, "tokenizer_config.json");
  const json = await readJson(file, limit);
  const config = settings ? await readJson(settings, limit) : {};
  const { Tokenizer } = await import("@huggingface/tokenizers");
  try {
    const tokenizer = new Tokenizer(json as object, config as object);
    return { encode: (text) => tokenizer.encode(text).ids };
  } catch (e) {
    throw new QuantError(
      "bad-tokenizer",
      `tokenizer.json: ${(e as Error).message.slice(0, 200)}`,
      "Use the tokenizer.json of this model, or token ids as .npy.",
      {
        cause: e,
      },
    );
  }
}
