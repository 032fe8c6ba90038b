/** The tokenizer in a GGUF file as tokenizer.json and tokenizer_config.json, whose ids are llama.cpp's. */
import type { ReadValue } from "../../export/gguf/header-reader";
import { preTokenizerOf } from "../../export/gguf/tokenizer/pre-tokenizers";
import { tokenTypes } from "../../export/gguf/tokenizer/tokens";
import type { Keys } from "./network";

type Json = Record<string, unknown>;

/** llama.cpp puts the first token before a text unless the keys say otherwise, with these ways of cutting and with SentencePiece's kind. */
const beginning = ["llama-bpe", "llama3", "llama-v3"];

/** Null where the file holds none, or one of another kind than byte-level BPE by a known name and SentencePiece's BPE. */
export function tokenizerOf(keys: Keys): { tokenizer: Json; config: Json } | null {
  const at = (name: string): ReadValue | undefined => keys.get(`tokenizer.ggml.${name}`);
  const texts = strings(at("tokens"));
  if (!texts) return null;
  const types = Array.isArray(at("token_type")) ? (at("token_type") as readonly ReadValue[]) : [];
  const network = at("model") === "gpt2" ? byteLevel(at, texts) : at("model") === "llama" ? sentencePiece(at, texts, types) : null;
  if (!network) return null;
  const tokenizer = { version: "1.0", ...network, added_tokens: addedTokens(texts, types), post_processor: template(at, texts) };
  return { tokenizer, config: configOf(keys, texts) };
}

type At = (name: string) => ReadValue | undefined;

const strings = (value: ReadValue | undefined): readonly string[] | null =>
  Array.isArray(value) && value.every((x) => typeof x === "string") ? (value as readonly string[]) : null;

function vocabularyOf(texts: readonly string[]): Json {
  // Not an object literal's way: a token may be called __proto__.
  const vocab = Object.create(null) as Json;
  for (const [id, text] of texts.entries()) vocab[text] = id;
  return vocab;
}

function byteLevel(at: At, texts: readonly string[]): Json | null {
  const merges = strings(at("merges"));
  const pre = preTokenizerOf(String(at("pre")));
  if (!merges || !pre) return null;
  return {
    // llama.cpp does not normalize.
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: pre.steps },
    decoder: null,
    model: {
      type: "BPE",
      unk_token: null,
      byte_fallback: false,
      ignore_merges: pre.ignoreMerges,
      vocab: vocabularyOf(texts),
      merges: merges.map((merge) => merge.split(" ")),
    },
  };
}

const space = "▁";

/** Scores in place of merges: of two neighbours whose union is a token, those of the highest score are joined first. */
function sentencePiece(at: At, texts: readonly string[], types: readonly ReadValue[]): Json | null {
  const scores = at("scores");
  if (!Array.isArray(scores) || scores.length !== texts.length) return null;
  const unknown = at("unknown_token_id");
  const prefix = at("add_space_prefix") === false ? [] : [{ type: "Prepend", prepend: space }];
  return {
    normalizer: { type: "Sequence", normalizers: [...prefix, { type: "Replace", pattern: { String: " " }, content: space }] },
    pre_tokenizer: null,
    decoder: null,
    model: {
      type: "BPE",
      unk_token: typeof unknown === "number" ? texts[unknown] : null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: vocabularyOf(texts),
      merges: mergesOf(texts, types, scores as readonly number[]),
    },
  };
}

/** Longer ones, which no vocabulary has, take no part: a stranger's file may hold a token of megabytes, and every cut of it is looked up. */
const longestToken = 256;

function mergesOf(texts: readonly string[], types: readonly ReadValue[], scores: readonly number[]): [string, string][] {
  const mergeable = (id: number) => types[id] === undefined || types[id] === tokenTypes.normal || types[id] === tokenTypes.userDefined;
  const ids = new Map(texts.map((text, id) => [text, id]));
  const ways: { pair: [string, string]; score: number }[] = [];
  for (const [id, text] of texts.entries()) {
    if (!mergeable(id) || text.length > longestToken) continue;
    let cut = 0;
    for (const letter of text) {
      const left = text.slice(0, cut);
      // Most are no token; nothing more is made for them.
      if (cut && ids.has(left) && ids.has(text.slice(cut))) ways.push({ pair: [left, text.slice(cut)], score: scores[id] });
      cut += letter.length;
    }
  }
  return ways.sort((a, b) => b.score - a.score).map(({ pair }) => pair);
}

const addedTokens = (texts: readonly string[], types: readonly ReadValue[]): Json[] =>
  texts.flatMap((content, id) => {
    const special = types[id] === tokenTypes.control || types[id] === tokenTypes.unknown;
    if (!special && types[id] !== tokenTypes.userDefined) return [];
    return [{ id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false }];
  });

/** The first and last token, where llama.cpp puts them around a text. */
function template(at: At, texts: readonly string[]): Json | null {
  const begins = at("model") === "llama" || beginning.includes(String(at("pre")));
  const around = (name: string, byDefault: boolean) => {
    const id = at(`${name}_token_id`);
    return (at(`add_${name}_token`) ?? byDefault) === true && typeof id === "number" && texts[id] !== undefined ? [id] : [];
  };
  const [bos, eos] = [around("bos", begins), around("eos", false)];
  if (!bos.length && !eos.length) return null;
  const token = (id: number) => ({ SpecialToken: { id: texts[id], type_id: 0 } });
  return {
    type: "TemplateProcessing",
    single: [...bos.map(token), { Sequence: { id: "A", type_id: 0 } }, ...eos.map(token)],
    pair: [],
    special_tokens: Object.fromEntries([...bos, ...eos].map((id) => [texts[id], { id: texts[id], ids: [id], tokens: [texts[id]] }])),
  };
}

function configOf(keys: Keys, texts: readonly string[]): Json {
  const named = (["bos", "eos", "unknown", "padding"] as const).flatMap((name): [string, string][] => {
    const id = keys.get(`tokenizer.ggml.${name}_token_id`);
    const short = { bos: "bos", eos: "eos", unknown: "unk", padding: "pad" }[name];
    return typeof id === "number" && texts[id] !== undefined ? [[`${short}_token`, texts[id]]] : [];
  });
  const chat = keys.get("tokenizer.chat_template");
  return { ...Object.fromEntries(named), ...(typeof chat === "string" ? { chat_template: chat } : {}) };
}
