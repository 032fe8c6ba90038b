import { QuantError } from "../errors";
import { readJson } from "../io/json";
import { findFile } from "../io/source";
import { decodeUtf8 } from "../io/text";
import type { Source } from "../io/types";
import type { Document } from "./documents";
import { cutterOf, type Tokenize } from "./pieces";
import { isQuick } from "./steps";
import type { Helper, ThreadTokenizer } from "./text-file";

/** Text to token ids, with the special tokens of the tokenizer's own template (a document for Llama starts with BOS). */
export interface Encoder {
  encode(text: string): number[] | Promise<number[]>;
  /** The ids of a document, a piece at a time. One that a chat template wrote gets no further special tokens. */
  pieces(document: Document): AsyncIterable<readonly number[]>;
  /** Ends the thread, where one was started. */
  close(): Promise<void>;
}

const limit = 50 * 2 ** 20;
/** Characters from which a piece takes so long that it is encoded by the helper, which can be stopped. */
const longPiece = 32_768;

/**
 * The checkpoint's tokenizer.json. The library is loaded on first use: opening a model does not need it. Where its steps may take for ever with some text,
 * the helper encodes every text, and otherwise only long ones.
 * @throws QuantError `missing-file` or `bad-tokenizer`.
 */
export async function openTokenizer(source: Source, helper?: Helper): Promise<Encoder> {
  const file = findFile(source, "tokenizer.json");
  if (!file)
    throw new QuantError("missing-file", "tokenizer.json", "Add it to the model's files, or give token ids as .npy instead of text.", {
      about: "checkpoint",
    });
  const settings = findFile(source, "tokenizer_config.json");
  const json = (await readJson(file, limit)) as Record<string, unknown>;
  const config = (settings ? await readJson(settings, limit) : {}) as object;
  const thread = helper?.tokenizer(json, config);
  const encode = await encodingOf(json, config, thread);
  const cutter = await cutterOf(json, encode);
  return {
    encode: (text) => encode(text, true),
    async *pieces({ text, templated }) {
      if (!cutter) return yield await encode(text, !templated);
      if (!templated) yield cutter.prefix;
      for await (const piece of cutter.cut(text)) yield await encode(piece, false);
      if (!templated) yield cutter.suffix;
    },
    close: async () => thread?.close(),
  };
}

/** Does `work` with the checkpoint's tokenizer, and ends the thread that it may have. @throws as `openTokenizer`. */
export async function withTokenizer<T>(source: Source, helper: Helper | undefined, work: (encoder: Encoder) => Promise<T>): Promise<T> {
  const encoder = await openTokenizer(source, helper);
  try {
    return await work(encoder);
  } finally {
    await encoder.close();
  }
}

async function encodingOf(json: Record<string, unknown>, config: object, thread: ThreadTokenizer | undefined): Promise<Tokenize> {
  if (thread && !isQuick(json)) return (text, special) => thread.encode(text, special, true);
  const encode = await tokenizerOf(json, config);
  return (text, special) => (thread && text.length > longPiece ? thread.encode(text, special, false) : encode(text, special));
}

/** A function from text to ids, for a tokenizer.json and tokenizer_config.json; `special` adds the special tokens. @throws QuantError `bad-tokenizer`. */
export async function tokenizerOf(json: object, config: object): Promise<(text: string, special: boolean) => number[]> {
  const { Tokenizer } = await import("@huggingface/tokenizers");
  try {
    const tokenizer = new Tokenizer(json, config);
    return (text, special) => tokenizer.encode(text, { add_special_tokens: special }).ids;
  } catch (cause) {
    throw new QuantError(
      "bad-tokenizer",
      `tokenizer.json: ${(cause as Error).message.slice(0, 200)}`,
      "Use the tokenizer.json of this model, or token ids as .npy.",
      { cause },
    );
  }
}

const mostTemplate = 2 ** 20;

/** The text of chat_template.jinja; null where there is none, or one too large to be one. */
export async function chatTemplateFile(source: Source): Promise<string | null> {
  const file = findFile(source, "chat_template.jinja");
  return file && file.size <= mostTemplate ? decodeUtf8(await file.read(0, file.size), file.name, "bad-json") : null;
}

/** The model's chat template, with the special tokens that it may name as variables; null where there is no template. */
export async function chatTemplateOf(source: Source): Promise<{ template: string; variables: Record<string, string> } | null> {
  const settings = findFile(source, "tokenizer_config.json");
  const config = (settings ? await readJson(settings, limit) : {}) as Record<string, unknown>;
  const file = await chatTemplateFile(source);
  const given = config.chat_template;
  const named = Array.isArray(given) ? (given.find((t) => t?.name === "default") ?? given[0])?.template : given;
  const template = file ?? named;
  if (typeof template !== "string" || template.length > mostTemplate) return null;
  const tokens = ["bos_token", "eos_token", "unk_token", "pad_token"].map((name) => [name, contentOf(config[name])]);
  return { template, variables: Object.fromEntries(tokens.filter(([, text]) => text !== null)) };
}

const contentOf = (token: unknown): string | null => {
  const text = typeof token === "object" && token !== null ? (token as { content?: unknown }).content : token;
  return typeof text === "string" ? text : null;
};
