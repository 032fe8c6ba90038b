import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { specialKeys } from "../../../src/export/gguf/tokenizer/specials";
import { tokenizerJson, vocabularyKeys, vocabularyOf } from "../../../src/export/gguf/tokenizer/vocabulary";
import { bytesFile, memorySource } from "../../../src/io/memory";
import { demoFolder } from "../../support/demo";

type Json = Record<string, unknown>;
const demo = (): Json => JSON.parse(readFileSync(join(demoFolder, "tokenizer.json"), "utf8"));

/** The keys of a file for these files of a checkpoint, without "tokenizer.ggml.". */
async function keysOf(files: Record<string, object | Uint8Array>, size: number, config: Json = { eos_token_id: 1 }) {
  const source = memorySource(
    "m",
    Object.entries(files).map(([name, content]) => bytesFile(name, content instanceof Uint8Array ? content : JSON.stringify(content))),
  );
  const json = await tokenizerJson(source);
  const vocabulary = await vocabularyOf(source, json, size);
  const all = new Map([...vocabularyKeys(vocabulary), ...(await specialKeys(source, json, config, vocabulary.tokens))]);
  return Object.fromEntries([...all].map(([key, { value }]) => [key.replace("tokenizer.ggml.", ""), value])) as Json;
}

const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const bytes = (use_regex: boolean) => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex });
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });
/** As they stand in the tokenizer.json of Llama 3, Qwen 2 and Mistral Nemo. */
const llama3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const qwen2 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const tekken =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const withModel = (json: Json, change: object): Json => ({ ...json, model: { ...(json.model as object), ...change } });

describe("byte-level BPE", () => {
  test("of the demo: tokens, kinds and merges in order, holes filled, what is put around a text", async () => {
    const json = demo();
    const keys = await keysOf({ "tokenizer.json": json }, 1030);
    const { vocab, merges } = json.model as { vocab: Record<string, number>; merges: [string, string][] };
    expect(keys).toMatchObject({
      model: "gpt2",
      pre: "gpt-2",
      eos_token_id: 1,
      add_eos_token: false,
      merges: merges.map((m) => m.join(" ")),
    });
    const tokens = keys.tokens as string[];
    for (const [token, id] of Object.entries(vocab)) expect(tokens[id]).toBe(token);
    expect(tokens.slice(1024)).toEqual([1024, 1025, 1026, 1027, 1028, 1029].map((id) => `[PAD${id}]`));
    expect([...(keys.token_type as Int32Array)].filter((type) => type !== 1)).toEqual([3, 3, 5, 5, 5, 5, 5, 5]);
  });

  test.each<[string, object, object]>([
    ["gpt-2", bytes(true), {}],
    ["smollm", sequence({ type: "Digits", individual_digits: true }, bytes(true)), {}],
    ["llama-bpe", sequence(split(llama3), bytes(false)), { ignore_merges: true }],
    ["smaug-bpe", sequence(split(llama3), bytes(false)), {}],
    ["qwen2", sequence(split(qwen2), bytes(false)), {}],
    ["tekken", sequence(split(tekken), bytes(false)), { ignore_merges: true }],
  ])("is %s by its pre_tokenizer", async (name, pre_tokenizer, model) => {
    const json = { ...withModel(demo(), model), pre_tokenizer, normalizer: name === "qwen2" ? { type: "NFC" } : null };
    expect(await keysOf({ "tokenizer.json": json }, 1024)).toHaveProperty("pre", name);
  });

  test.each<[string, (json: Json) => Json, RegExp]>([
    ["another pattern", (json) => ({ ...json, pre_tokenizer: sequence(split("\\w+"), bytes(false)) }), /pre_tokenizer\) is not known here/],
    ["no pattern", (json) => ({ ...json, pre_tokenizer: null }), /pre_tokenizer\) is not known here/],
    [
      "a pattern that removes",
      (json) => ({ ...json, pre_tokenizer: sequence({ ...split(qwen2), behavior: "Removed" }, bytes(false)) }),
      /pre_tok/,
    ],
    ["a space before texts", (json) => ({ ...json, pre_tokenizer: { ...bytes(true), add_prefix_space: true } }), /pre_tokenizer/],
    ["another normalizer", (json) => ({ ...json, normalizer: { type: "Lowercase" } }), /changes texts before it cuts them/],
    ["dropout", (json) => withModel(json, { dropout: 0.1 }), /settings of its BPE model/],
    ["another model", (json) => withModel(json, { type: "WordLevel" }), /is not of type BPE/],
    ["no merges", (json) => withModel(json, { merges: null }), /no list of merges/],
    ["a merge of three", (json) => withModel(json, { merges: ["a b c"] }), /a b c.* is no pair/],
    [
      "an id beyond the table",
      (json) => withModel(json, { vocab: { a: 1024 } }),
      /a has the id 1024, but the embedding table has 1024 rows/,
    ],
    ["an id that is none", (json) => withModel(json, { vocab: { a: "1" } }), /a has the id 1,/],
    ["a token twice", (json) => ({ ...json, added_tokens: [{ id: 5, content: "he", special: true }] }), /its token .* is there twice/],
    ["an added token without a text", (json) => ({ ...json, added_tokens: [{ id: 5 }] }), /without id or content/],
    [
      "no token before a text",
      (json) => ({ ...json, post_processor: { type: "TemplateProcessing", single: [special("<none>"), sequenceA] } }),
      /none of its tokens/,
    ],
    [
      "two tokens before a text",
      (json) => ({ ...json, post_processor: { type: "TemplateProcessing", single: [special("</s>"), special("<s>"), sequenceA] } }),
      /other tokens around a text/,
    ],
  ])("with %s is refused in a sentence", async (_, change, message) => {
    const error = await keysOf({ "tokenizer.json": change(demo()) }, 1024).catch((e) => e);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("bad-format");
  });
});

const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const sequenceA = { Sequence: { id: "A", type_id: 0 } };

describe("special tokens", () => {
  test("by tokenizer_config.json's names, then by config.json's ids; every further end of generation; the template", async () => {
    const files = {
      "tokenizer.json": demo(),
      "tokenizer_config.json": { bos_token: { content: "<s>" }, eos_token: "</s>", unk_token: null, chat_template: "{{ messages }}" },
      "generation_config.json": { eos_token_id: [1, 7] },
    };
    expect(await keysOf(files, 1024, { bos_token_id: 9, eos_token_id: [9, 1], pad_token_id: 3 })).toMatchObject({
      bos_token_id: 0,
      eos_token_id: 1,
      eot_token_id: 9,
      padding_token_id: 3,
      add_bos_token: true,
      "tokenizer.chat_template": "{{ messages }}",
    });
  });

  test("that are put around a text as tokenizer.json puts them, whatever the settings say", async () => {
    const files = {
      "tokenizer.json": { ...demo(), post_processor: null },
      "tokenizer_config.json": { bos_token: "<s>", add_bos_token: true },
    };
    expect(await keysOf(files, 1024)).toMatchObject({ add_bos_token: false, add_eos_token: false, bos_token_id: 0 });
    const both = {
      type: "Sequence",
      processors: [{ type: "ByteLevel" }, { type: "TemplateProcessing", single: [special("<s>"), sequenceA, special("</s>")] }],
    };
    expect(await keysOf({ ...files, "tokenizer.json": { ...demo(), post_processor: both } }, 1024)).toMatchObject({
      add_bos_token: true,
      add_eos_token: true,
    });
  });

  test("without an end of text, or a tokenizer at all, the model is refused", async () => {
    await expect(keysOf({ "tokenizer.json": demo() }, 1024, { eos_token_id: 1024 })).rejects.toThrow(/which token ends a text/);
    const error = await keysOf({}, 1024).catch((e) => e);
    expect([error.code, error.message]).toEqual([
      "missing-file",
      expect.stringMatching(/tokenizer\.json or tokenizer\.model.*A GGUF file holds its tokenizer/),
    ]);
  });
});

const byteTokens = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
const pieces = ["<unk>", "<s>", "</s>", ...byteTokens, "▁a", "ab", "▁ab", "▁", "a", "b"];
const vocab = Object.fromEntries(pieces.map((token, id) => [token, id]));
const llama2: Json = {
  added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true })),
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: { type: "TemplateProcessing", single: [special("<s>"), sequenceA] },
  model: { type: "BPE", byte_fallback: true, unk_token: "<unk>", vocab, merges: ["▁ a", "a b", "▁a b", "▁ ab"] },
};
const config = { bos_token_id: 1, eos_token_id: 2 };
const named = { "tokenizer_config.json": { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" } };

describe("SentencePiece's BPE", () => {
  test("from tokenizer.json: scores from the merges' order, bytes and specials by their kinds", async () => {
    const keys = await keysOf({ "tokenizer.json": llama2, ...named }, 268, config);
    expect(keys).toMatchObject({ model: "llama", add_space_prefix: true, add_bos_token: true, unknown_token_id: 0 });
    expect([...(keys.scores as Float32Array)].slice(259)).toEqual([-0, -1, -2, -4, -4, -4, 0, 0, 0]);
    const types = [...(keys.token_type as Int32Array)];
    expect([types.slice(0, 4), types.slice(258)]).toEqual([
      [2, 3, 3, 6],
      [6, 1, 1, 1, 1, 1, 1, 5, 5, 5],
    ]);
  });

  test.each<[boolean, object]>([
    [true, { normalizer: null, pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false } }],
    [false, { normalizer: null, pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "never", split: false } }],
    [false, { normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" } }],
  ])("puts a space before a text: %s, with %j", async (prefix, change) => {
    expect(await keysOf({ "tokenizer.json": { ...llama2, ...change } }, 265, config)).toHaveProperty("add_space_prefix", prefix);
  });

  test.each<[string, Json, RegExp]>([
    ["a byte missing", withModel(llama2, { vocab: { ...vocab, "<0x41>": undefined } }), /no token for the byte 65/],
    ["another way to make a token", withModel(llama2, { merges: ["▁ a", "a b", "▁a b"] }), /not those of a SentencePiece model/],
    ["another normalizer", { ...llama2, normalizer: { type: "NFKC" } }, /changes texts in a way/],
    ["words cut before", { ...llama2, normalizer: null, pre_tokenizer: { type: "Metaspace", split: true } }, /cuts texts at spaces/],
  ])("with %s is refused", async (_, json, message) => {
    const clean = JSON.parse(JSON.stringify(json));
    await expect(keysOf({ "tokenizer.json": clean }, 265, config)).rejects.toThrow(message);
  });
});

describe("tokenizer.model", () => {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
  const field = (number: number, value: number | Uint8Array): number[] =>
    typeof value === "number" ? [...varint(number * 8), ...varint(value)] : [...varint(number * 8 + 2), ...varint(value.length), ...value];
  const piece = (text: string, score: number, type: number) =>
    Uint8Array.from([
      ...field(1, new TextEncoder().encode(text)),
      ...varint(2 * 8 + 5),
      ...new Uint8Array(Float32Array.of(score).buffer),
      ...(type === 1 ? [] : field(3, type)),
    ]);
  const file = (modelType = 2, charsmap = new Uint8Array(0), dummyPrefix = 1) =>
    Uint8Array.from([
      ...pieces.flatMap((text, id) => field(1, piece(text, -id, id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1))),
      ...field(2, Uint8Array.from(field(3, modelType))),
      ...field(3, Uint8Array.from([...field(2, charsmap), ...field(3, dummyPrefix)])),
    ]);

  test("has pieces, scores and kinds of its own", async () => {
    const keys = await keysOf({ "tokenizer.model": file(), ...named }, 268, config);
    expect(keys).toMatchObject({ model: "llama", add_space_prefix: true, bos_token_id: 1, add_bos_token: true });
    expect((keys.tokens as string[]).slice(258)).toEqual(["<0xFF>", "▁a", "ab", "▁ab", "▁", "a", "b", "[PAD265]", "[PAD266]", "[PAD267]"]);
    expect([...(keys.scores as Float32Array)].slice(262)).toEqual([-262, -263, -264, 0, 0, 0]);
    expect([...(keys.token_type as Int32Array)].slice(0, 4)).toEqual([2, 3, 3, 6]);
    expect(await keysOf({ "tokenizer.model": file(2, undefined, 0), ...named }, 268, config)).toHaveProperty("add_space_prefix", false);
  });

  const settings = (rest: object) => ({ ...named["tokenizer_config.json"], ...rest });
  const decoder = {
    2: { content: "</s>", special: true },
    265: { content: "<|im_end|>", special: true },
    266: { content: "<think>", special: false },
  };

  test.each<[string, Record<string, object>]>([
    ["tokenizer_config.json", { "tokenizer_config.json": settings({ added_tokens_decoder: decoder, eos_token: "<|im_end|>" }) }],
    [
      "added_tokens.json",
      {
        "added_tokens.json": { "<|im_end|>": 265, "<think>": 266 },
        "tokenizer_config.json": settings({ eos_token: { content: "<|im_end|>" } }),
      },
    ],
  ])("has the tokens that %s adds, EOS among them", async (_, files) => {
    const keys = await keysOf({ "tokenizer.model": file(), ...files }, 268, config);
    expect((keys.tokens as string[]).slice(264)).toEqual(["b", "<|im_end|>", "<think>", "[PAD267]"]);
    expect([...(keys.token_type as Int32Array)].slice(264)).toEqual([1, 3, 4, 5]);
    expect([...(keys.token_type as Int32Array)].slice(0, 3)).toEqual([2, 3, 3]);
    expect(keys).toMatchObject({ bos_token_id: 1, eos_token_id: 265, add_bos_token: true, add_eos_token: false });
  });

  test("puts around a text what its settings say", async () => {
    const keys = await keysOf(
      { "tokenizer.model": file(), "tokenizer_config.json": settings({ add_bos_token: false, add_eos_token: true }) },
      268,
      config,
    );
    expect(keys).toMatchObject({ add_bos_token: false, add_eos_token: true });
  });

  test("whose end of text is none of its tokens, or with added tokens that are none, is refused", async () => {
    const read = (rest: object, more = {}) =>
      keysOf({ "tokenizer.model": file(), "tokenizer_config.json": settings(rest), ...more }, 268, config);
    await expect(read({ eos_token: "<|im_end|>" })).rejects.toThrow(/eos_token .*<\|im_end\|>.* is none of its tokens/);
    await expect(read({ added_tokens_decoder: { 265: { special: true } } })).rejects.toThrow(/without id or content/);
    await expect(read({ added_tokens_decoder: { x: { content: "a" } } })).rejects.toThrow(/without id or content/);
    await expect(read({ added_tokens_decoder: { 268: { content: "x" } } })).rejects.toThrow(/268 rows/);
    await expect(read({}, { "added_tokens.json": { x: "265" } })).rejects.toThrow(/token without an id/);
  });

  test("of another kind, with a table of characters, or broken is refused", async () => {
    const read = (bytes: Uint8Array) => keysOf({ "tokenizer.model": bytes }, 268, config);
    await expect(read(file(1))).rejects.toThrow(/not of SentencePiece's type BPE/);
    await expect(read(file(2, Uint8Array.of(1)))).rejects.toThrow(/changes texts in a way/);
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(10, 255, 255, 255, 255, 127),
      Uint8Array.of(7),
      file().subarray(0, 3001),
      new Uint8Array(40).fill(255),
    ])
      await expect(read(bytes)).rejects.toThrow(/no SentencePiece model|not of SentencePiece's type/);
  });
});
