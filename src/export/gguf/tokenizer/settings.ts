/** The small files beside a tokenizer. */
import { readJson } from "../../../io/json";
import { findFile } from "../../../io/source";
import type { Source } from "../../../io/types";
import { type AddedToken, isObject, type Json, unusable } from "./tokens";

/** The most bytes of a tokenizer's file that are read. */
export const tokenizerLimit = 50 * 2 ** 20;

/** The object in a JSON file; empty where there is none. @throws QuantError `bad-json`. */
export async function settingsIn(source: Source, name: string): Promise<Json> {
  const file = findFile(source, name);
  const json = file && (await readJson(file, tokenizerLimit));
  return isObject(json) ? json : {};
}

const contentOf = (token: unknown): unknown => (isObject(token) ? token.content : token);

/** The text that tokenizer_config.json names as its `bos_token`, `eos_token` …; null for none. */
export function namedToken(settings: Json, name: string): string | null {
  const content = contentOf(settings[`${name}_token`]);
  return typeof content === "string" ? content : null;
}

/**
 * The tokens that were added to a tokenizer.model, which does not have them: tokenizer_config.json's `added_tokens_decoder`, before it was there
 * added_tokens.json, in which those are special that tokenizer_config.json names.
 * @throws QuantError `bad-format`, `bad-json`.
 */
export async function addedBeside(source: Source): Promise<AddedToken[]> {
  const settings = await settingsIn(source, "tokenizer_config.json");
  if (isObject(settings.added_tokens_decoder))
    return Object.entries(settings.added_tokens_decoder).map(([id, token]) => decoded(id, token));
  const named = new Set([
    ...["bos", "eos", "unk", "pad", "sep", "cls", "mask"].map((name) => namedToken(settings, name)),
    ...[settings.additional_special_tokens].flat().map(contentOf),
  ]);
  const added = Object.entries(await settingsIn(source, "added_tokens.json"));
  return added.map(([content, id]) => {
    if (typeof id !== "number") throw unusable("added_tokens.json has a token without an id");
    return { id, content, special: named.has(content) };
  });
}

function decoded(id: string, token: unknown): AddedToken {
  if (!isObject(token) || typeof token.content !== "string" || !/^\d+$/.test(id))
    throw unusable("tokenizer_config.json has an added token without id or content (added_tokens_decoder)");
  return { id: Number(id), content: token.content, special: token.special === true };
}
