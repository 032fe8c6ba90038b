/** The tokens of a vocabulary by their ids, out of files of strangers. */
import { QuantError } from "../../../errors";
import { shown } from "../../../io/text";

export type Json = Record<string, unknown>;

/** Kinds of tokens, by llama.cpp's numbers (llama.h, `enum llama_token_type`). */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** One entry an id, as many as the embedding table has rows. */
export interface Tokens {
  readonly texts: readonly string[];
  readonly types: Int32Array;
}

/** What llama.cpp makes tokens with. */
export type Vocabulary = { readonly tokens: Tokens } & (
  | { readonly model: "gpt2"; readonly pre: string; readonly merges: readonly string[] }
  | { readonly model: "llama"; readonly scores: Float32Array; readonly addSpacePrefix: boolean }
);

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export const unusable = (detail: string) =>
  new QuantError(
    "bad-format",
    `the GGUF file needs the model's tokenizer, and ${detail}`,
    "Use the dense format, or the tokenizer of this model.",
  );

export const isObject = (x: unknown): x is Json => typeof x === "object" && x !== null && !Array.isArray(x);

/** `vocab` of tokenizer.json: text to id. @throws QuantError `bad-format`. */
export function vocabularyOf(model: Json): Map<string, number> {
  if (!isObject(model.vocab)) throw unusable("tokenizer.json has no vocabulary by tokens");
  return new Map(Object.entries(model.vocab) as [string, number][]);
}

/** `added_tokens` of tokenizer.json. @throws QuantError `bad-format`. */
export function addedTokens({ added_tokens: list }: Json): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw unusable("added_tokens of tokenizer.json is no list");
  return list.map((entry: unknown) => {
    if (!isObject(entry) || typeof entry.content !== "string" || typeof entry.id !== "number")
      throw unusable("tokenizer.json has an added token without id or content");
    return { id: entry.id, content: entry.content, special: entry.special === true };
  });
}

/**
 * The tokens by their ids. Ids that have none become "[PAD…]", so that there are as many as the embedding table has rows: llama.cpp compares the two.
 * @param typeOf of a token that was not added.
 * @throws QuantError `bad-format` for ids that are no rows of the table, and texts that are there twice.
 */
export function tokensOf(
  vocab: Iterable<readonly [string, number]>,
  added: readonly AddedToken[],
  size: number,
  typeOf: (text: string) => number,
): Tokens {
  const texts = new Array<string>(size).fill("");
  const types = new Int32Array(size).fill(tokenTypes.unused);
  const place = (text: string, id: number, type: number) => {
    if (!Number.isSafeInteger(id) || id < 0 || id >= size)
      throw unusable(`its token ${shown(text)} has the id ${shown(String(id))}, but the embedding table has ${size} rows`);
    texts[id] = text;
    types[id] = type;
  };
  for (const [text, id] of vocab) place(text, id, typeOf(text));
  for (const { id, content, special } of added) {
    // The unknown token stays what it is, though it is also listed as an added one.
    if (types[id] === tokenTypes.unknown && texts[id] === content) continue;
    place(content, id, special ? tokenTypes.control : tokenTypes.userDefined);
  }
  for (let id = 0; id < size; id++) if (types[id] === tokenTypes.unused) texts[id] = `[PAD${id}]`;
  const seen = new Set<string>();
  for (const text of texts) {
    if (seen.has(text)) throw unusable(`its token ${shown(text)} is there twice`);
    seen.add(text);
  }
  return { texts, types };
}

const mostMerges = 4_000_000;

/** `merges` of tokenizer.json, in its old form ("a b") or its new one (["a", "b"]). @throws QuantError `bad-format`. */
export function mergesOf({ merges }: Json): [string, string][] {
  if (!Array.isArray(merges) || merges.length > mostMerges) throw unusable("tokenizer.json has no list of merges");
  return merges.map((merge: unknown) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === "string" && part !== "" && !part.includes(" ")))
      return parts as [string, string];
    throw unusable(`${shown(JSON.stringify(merge) ?? "")} among tokenizer.json's merges is no pair of tokens`);
  });
}
