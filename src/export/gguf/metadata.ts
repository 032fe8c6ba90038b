import type { Source } from "../../io/types";
import type { Checkpoint } from "../../model/checkpoint";
import type { ModelSpec } from "../../model/spec";
import type { TypeMix } from "../../recipe/types";
import { architectureOf, networkKeys } from "./architectures";
import { type Metadata, text, u32 } from "./metadata-values";
import { specialKeys } from "./tokenizer/specials";
import { tokenizerJson, vocabularyKeys, vocabularyOf } from "./tokenizer/vocabulary";
import type { GgmlType } from "./types";

/** `general.file_type` (llama.h, `enum llama_ftype`), a label only: a file whose layers are mostly of this type. */
const fileTypes: Readonly<Record<GgmlType | TypeMix, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 8,
  Q5_1: 9,
  Q8_0: 7,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 14,
  Q5_K: 16,
  Q6_K: 18,
  Q2_0: 41,
  Q2_K_M: 10,
  Q3_K_M: 12,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_M: 17,
};

/**
 * All keys of a model's file.
 * @param name what clients show.
 * @param type of most of its layers, or their mix.
 * @throws QuantError `bad-format` for what llama.cpp does otherwise, `missing-file` without a tokenizer.
 */
export async function metadataOf(
  { source, config }: Checkpoint,
  spec: ModelSpec,
  name: string,
  type: GgmlType | TypeMix,
): Promise<Metadata> {
  return new Map([
    ["general.architecture", text(architectureOf(spec).id)],
    ["general.name", text(name)],
    ["general.file_type", u32(fileTypes[type])],
    ["general.quantization_version", u32(2)],
    ...networkKeys(spec),
    ...(await tokenizerKeys(source, config, spec.vocabulary)),
  ]);
}

/** What was read of each checkpoint's files, because every change of a recipe asks again and the files of an open checkpoint do not change. */
const known = new WeakMap<Source, Promise<Metadata>>();

function tokenizerKeys(source: Source, config: Record<string, unknown>, size: number): Promise<Metadata> {
  const keys = known.get(source) ?? readKeys(source, config, size);
  known.set(source, keys);
  return keys;
}

async function readKeys(source: Source, config: Record<string, unknown>, size: number): Promise<Metadata> {
  const json = await tokenizerJson(source);
  const vocabulary = await vocabularyOf(source, json, size);
  return new Map([...vocabularyKeys(vocabulary), ...(await specialKeys(source, json, config, vocabulary.tokens))]);
}
