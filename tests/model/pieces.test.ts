import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import { letEventsIn } from "../../src/io/turn";
import { encodeDocuments } from "../../src/model/calibration";
import { cutterOf } from "../../src/model/pieces";
import { openTokenizer, tokenizerOf } from "../../src/model/tokenizer";

const demo = JSON.parse(readFileSync(new URL("../../public/demo/model/tokenizer.json", import.meta.url), "utf8"));

/** As Llama 2's: no pre-tokenizer, "▁" put before and in place of spaces, bytes for what is unknown. */
function llama2(more: Record<string, number> = {}) {
  const letters = [..."▁abcdefghijklmnopqrstuvwxyz.,"];
  const pairs = ["▁ t", "▁ a", "h e", "▁t he", "o n", "e r", "▁ ▁", "▁▁ ▁▁", "i n", "▁a n", "▁an d"];
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters, ...pairs.map((pair) => pair.replace(" ", "")), ...Object.keys(more)];
  const special = (id: number, content: string) => ({
    id,
    content,
    special: true,
    normalized: false,
    lstrip: false,
    rstrip: false,
    single_word: false,
  });
  return {
    version: "1.0",
    added_tokens: [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: null,
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((t, i) => [t, i])),
      merges: pairs,
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

/** Words, runs of spaces, special tokens and letters of other scripts, from a seed. */
function prose(length: number, words: string[]): string {
  let state = 1;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += words[(state >>> 16) % words.length];
  }
  return text;
}

const words = [
  " the",
  " and",
  " hat",
  "\n",
  " ",
  "  ",
  ".",
  ", then",
  " on",
  " é",
  " 12",
  "\n\n The",
  " 模型",
  "</s>",
  " </s>",
  "</s> a",
  "'s",
];

describe.each([
  ["the demo's tokenizer", demo],
  ["one like Llama 2's", llama2()],
])("%s", (_, json) => {
  test("gives the whole text's ids in pieces", async () => {
    const encode = await tokenizerOf(json, {});
    const cutter = cutterOf(json, encode)!;
    for (const text of [prose(60_000, words), prose(30_000, words.slice(0, 8)), "short", "x".repeat(20_000), ""]) {
      const pieces = [...cutter.cut(text)];
      if (/ the/.test(text)) expect(pieces.length).toBeGreaterThan(4);
      expect([...cutter.prefix, ...pieces.flatMap((piece) => encode(piece, false)), ...cutter.suffix]).toEqual(encode(text, true));
    }
  });
});

test.each([
  ["a byte-level one without its pattern", { type: "ByteLevel", use_regex: false }, null],
  ["a split at line ends only", { type: "Split", pattern: { Regex: "\\n" } }, null],
  ["a normalizer that looks at more than one character", null, { type: "Replace", pattern: { Regex: " t" }, content: "x" }],
])("nothing is cut where a space is no certain end of a word: %s", async (_, pre_tokenizer, normalizer) => {
  const json = { ...llama2(), pre_tokenizer, ...(normalizer ? { normalizer } : {}) };
  const encode = (text: string) => [...text].map((c) => c.charCodeAt(0));
  expect([...cutterOf(json, encode)!.cut(prose(20_000, words))]).toHaveLength(1);
});

test("a vocabulary with a token that reaches over a space is never cut", async () => {
  const json = llama2({ "e▁t": 0 });
  const cutter = cutterOf(json, await tokenizerOf(json, {}))!;
  expect([...cutter.cut(prose(20_000, words))]).toHaveLength(1);
});

test("no more is tokenized than is asked for, and the ids are the whole text's first", async () => {
  const source = memorySource("tiny", [bytesFile("tokenizer.json", JSON.stringify(llama2()))]);
  const encoder = await openTokenizer(source);
  const text = prose(200_000, words);
  let asked = 0;
  const counted = {
    ...encoder,
    async *pieces(document: { text: string }) {
      for await (const piece of encoder.pieces(document)) {
        asked += piece.length;
        yield piece;
      }
    },
  };
  async function* one() {
    yield { text };
  }
  const ids = await encodeDocuments(counted, one(), 3000, { name: "x" });
  expect(asked).toBeLessThan(10_000);
  expect([...ids.subarray(0, 3000)]).toEqual(encoder.encode(text).slice(0, 3000));
});

test.each([
  ["a document that is never cut", { pre_tokenizer: { type: "ByteLevel", use_regex: false } }],
  ["a word without an end", {}],
])("%s goes to the helper, where it can be ended", async (_, change) => {
  const json = { ...llama2(), ...change };
  const sent: number[] = [];
  const encode = async (_t: object, _c: object, text: string) => {
    sent.push(text.length);
    return [7];
  };
  const helper = { encode, parquet: async () => [], chat: async () => [] };
  const encoder = await openTokenizer(memorySource("tiny", [bytesFile("tokenizer.json", JSON.stringify(json))]), helper);
  const ids: number[] = [];
  for await (const piece of encoder.pieces({ text: "x".repeat(40_000) })) ids.push(...piece);
  expect(sent).toEqual([40_000]);
  expect(ids).toContain(7);
});

test("a cancel is heard inside one long document", async () => {
  const encoder = await openTokenizer(memorySource("tiny", [bytesFile("tokenizer.json", JSON.stringify(llama2()))]));
  const controller = new AbortController();
  let pieces = 0;
  // A piece takes longer than anybody should have to wait.
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => clock);
  const slow = {
    ...encoder,
    async *pieces(document: { text: string }) {
      for await (const piece of encoder.pieces(document)) {
        if (++pieces === 3) letEventsIn().then(() => controller.abort());
        clock += 40;
        yield piece;
      }
    },
  };
  async function* one() {
    yield { text: prose(400_000, words) };
  }
  await expect(encodeDocuments(slow, one(), Number.POSITIVE_INFINITY, { name: "x", signal: controller.signal })).rejects.toMatchObject({
    code: "cancelled",
  });
  expect(pieces).toBeLessThan(8);
  vi.restoreAllMocks();
});
