/** The ids with a meaning: where a text begins, where generation ends. */
import { shown } from "../../../io/text";
import type { Source } from "../../../io/types";
import { chatTemplateOf } from "../../../model/tokenizer";
import { bool, type Metadata, text, u32, type Value } from "../metadata-values";
import { namedToken, settingsIn } from "./settings";
import { isObject, type Json, type Tokens, unusable } from "./tokens";

/**
 * Special ids, whether they are put around a text, and the chat template. tokenizer_config.json's names of tokens come before config.json's ids, as in
 * llama.cpp's converter, and what is put around a text is what tokenizer.json does.
 * @throws QuantError `bad-format` where no end of text is known, or llama.cpp cannot put around a text what the tokenizer does.
 */
export async function specialKeys(source: Source, json: Json | null, config: Json, { texts }: Tokens): Promise<Metadata> {
  const settings = await settingsIn(source, "tokenizer_config.json");
  const generation = await settingsIn(source, "generation_config.json");
  const idOf = (name: string): number | undefined => {
    const named = texts.indexOf(namedToken(settings, name) ?? "");
    return named >= 0 ? named : listed(config[`${name}_token_id`], texts.length)[0];
  };
  const named = idOf("bos");
  const eos = idOf("eos");
  const end = namedToken(settings, "eos");
  if (end !== null && !texts.includes(end)) throw unusable(`tokenizer_config.json's eos_token ${shown(end)} is none of its tokens`);
  if (eos === undefined) throw unusable("neither tokenizer_config.json nor config.json says which token ends a text (eos_token)");
  const around = json ? templateOf(json, texts) : aroundPieces(settings, named, eos);
  // What is put first is what llama.cpp has to put first.
  const bos = around.prefix[0] ?? named;
  const template = await chatTemplateOf(source);
  const stops = [...listed(config.eos_token_id, texts.length), ...listed(generation.eos_token_id, texts.length)];
  const keys: Record<string, Value | undefined> = {
    "tokenizer.ggml.bos_token_id": optional(bos),
    "tokenizer.ggml.eos_token_id": u32(eos),
    "tokenizer.ggml.eot_token_id": optional(stops.find((id) => id !== eos)),
    "tokenizer.ggml.unknown_token_id": optional(idOf("unk")),
    "tokenizer.ggml.padding_token_id": optional(idOf("pad")),
    "tokenizer.ggml.add_bos_token": bool(isOnly(around.prefix, bos)),
    "tokenizer.ggml.add_eos_token": bool(isOnly(around.suffix, eos)),
    "tokenizer.chat_template": template ? text(template.template) : undefined,
  };
  return new Map(Object.entries(keys).filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

const optional = (id: number | undefined) => (id === undefined ? undefined : u32(id));

/** An id or a list of ids, of which those that are tokens remain. */
const listed = (value: unknown, size: number): number[] =>
  [value].flat().filter((id): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0 && id < size);

/** True where these ids are just this one, false where there are none. */
function isOnly(ids: readonly number[], id: number | undefined): boolean {
  if (!ids.length) return false;
  if (ids.length > 1 || ids[0] !== id)
    throw unusable("it puts other tokens around a text than its first and last, which llama.cpp does not");
  return true;
}

/** What a tokenizer that is only a tokenizer.model puts around a text: its BOS unless its settings say no, its EOS if they say so (LlamaTokenizer's defaults). */
function aroundPieces(
  { add_bos_token, add_eos_token }: Json,
  bos: number | undefined,
  eos: number,
): { prefix: number[]; suffix: number[] } {
  return { prefix: add_bos_token === false || bos === undefined ? [] : [bos], suffix: add_eos_token === true ? [eos] : [] };
}

/** The special ids that tokenizer.json's post_processor puts before and after a text. */
function templateOf(json: Json, texts: readonly string[]): { prefix: number[]; suffix: number[] } {
  const processor = json.post_processor;
  const parts = isObject(processor) && Array.isArray(processor.processors) ? processor.processors : [processor];
  const template = parts.find((part): part is Json => isObject(part) && part.type === "TemplateProcessing");
  const single = template && Array.isArray(template.single) ? template.single : [];
  const at = single.findIndex((part) => isObject(part) && "Sequence" in part);
  const ids = (list: readonly unknown[]) => list.map((part) => placedId(part, texts));
  return { prefix: ids(single.slice(0, Math.max(at, 0))), suffix: ids(single.slice(at + 1)) };
}

function placedId(part: unknown, texts: readonly string[]): number {
  const token = isObject(part) && isObject(part.SpecialToken) ? part.SpecialToken.id : undefined;
  const id = typeof token === "string" ? texts.indexOf(token) : -1;
  if (id < 0) throw unusable("tokenizer.json puts something around a text (post_processor) that is none of its tokens");
  return id;
}
