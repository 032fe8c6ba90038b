import { QuantError } from "../../../errors";
import { readJson } from "../../../io/json";
import { findFile } from "../../../io/source";
import type { Source } from "../../../io/types";
import { bool, f32s, i32s, type Metadata, text, texts, type Value } from "../metadata-values";
import { byteLevel } from "./byte-level";
import { pieceModel } from "./piece-model";
import { sentencePiece } from "./sentence-piece";
import { addedBeside, tokenizerLimit } from "./settings";
import { isObject, type Json, type Tokens, unusable, type Vocabulary } from "./tokens";

/** tokenizer.json; null where there is none. @throws QuantError `bad-json`. */
export async function tokenizerJson(source: Source): Promise<Json | null> {
  const file = findFile(source, "tokenizer.json");
  const json = file && (await readJson(file, tokenizerLimit));
  if (file && !isObject(json)) throw unusable("tokenizer.json is no JSON object");
  return (json as Json | undefined) ?? null;
}

/** @param size rows of the embedding table. @throws QuantError `missing-file`, or `bad-format` for a tokenizer that llama.cpp does not have. */
export async function vocabularyOf(source: Source, json: Json | null, size: number): Promise<Vocabulary> {
  if (!json) return pieceModel(await piecesOf(source), await addedBeside(source), size);
  const { model } = json;
  if (!isObject(model) || (model.type !== undefined && model.type !== "BPE"))
    throw unusable(`tokenizer.json's model is not of type BPE, the only one that is known here`);
  return model.byte_fallback === true ? sentencePiece(json, model, size) : byteLevel(json, model, size);
}

async function piecesOf(source: Source): Promise<Uint8Array> {
  const file = findFile(source, "tokenizer.model");
  if (!file || file.size > tokenizerLimit)
    throw new QuantError(
      "missing-file",
      "tokenizer.json or tokenizer.model",
      "A GGUF file holds its tokenizer: add it to the model's files, or use the dense format.",
      { about: "checkpoint" },
    );
  return file.read(0, file.size);
}

export function vocabularyKeys(vocabulary: Vocabulary): Metadata {
  const { model, tokens } = vocabulary;
  const keys: Record<string, Value> =
    model === "gpt2"
      ? { pre: text(vocabulary.pre), ...tokenKeys(tokens), merges: texts(vocabulary.merges) }
      : { pre: text("default"), ...tokenKeys(tokens), scores: f32s(vocabulary.scores), add_space_prefix: bool(vocabulary.addSpacePrefix) };
  return new Map(Object.entries({ model: text(model), ...keys }).map(([key, value]) => [`tokenizer.ggml.${key}`, value]));
}

const tokenKeys = (tokens: Tokens) => ({ tokens: texts(tokens.texts), token_type: i32s(tokens.types) });
