import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import { letEventsIn } from "../../src/io/turn";
import { encodeDocuments } from "../../src/model/calibration";
import { cutterOf } from "../../src/model/pieces";
import { wordPatterns } from "../../src/model/steps";
import { openTokenizer, tokenizerOf, withTokenizer } from "../../src/model/tokenizer";

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

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
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
    const cutter = (await cutterOf(json, encode))!;
    for (const text of [prose(60_000, words), prose(30_000, words.slice(0, 8)), "short", "x".repeat(20_000), ""]) {
      const pieces = await all(cutter.cut(text));
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
  expect(await all((await cutterOf(json, encode))!.cut(prose(20_000, words)))).toHaveLength(1);
});

test("a vocabulary with a token that reaches over a space is never cut", async () => {
  const json = llama2({ "e▁t": 0 });
  const cutter = (await cutterOf(json, await tokenizerOf(json, {})))!;
  expect(await all(cutter.cut(prose(20_000, words)))).toHaveLength(1);
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
  expect([...ids.subarray(0, 3000)]).toEqual((await encoder.encode(text)).slice(0, 3000));
});

/** A helper whose thread answers every text with one id, and what it was sent. */
function recorder() {
  const sent: string[] = [];
  let open = 0;
  const tokenizer = () => ({
    async encode(text: string, special: boolean, isWatched: boolean) {
      open = 1;
      sent.push(`${special ? "all of " : ""}${text.length}${isWatched ? " in time" : ""}`);
      return special ? [1, 7] : [7];
    },
    async close() {
      open = 0;
    },
  });
  return { sent, isOpen: () => open > 0, helper: { tokenizer, parquet: async () => [], chat: async () => [] } };
}

const sourceWith = (json: object) => memorySource("tiny", [bytesFile("tokenizer.json", JSON.stringify(json))]);

test.each([
  ["a document that is never cut", { pre_tokenizer: { type: "ByteLevel", use_regex: false } }],
  ["a word without an end", {}],
])("%s goes to the helper, where it can be ended", async (_, change) => {
  const { sent, helper } = recorder();
  const encoder = await openTokenizer(sourceWith({ ...llama2(), ...change }), helper);
  expect((await all(encoder.pieces({ text: "x".repeat(40_000) }))).flat()).toContain(7);
  expect(sent).toEqual(["40000"]);
});

const regex = (Regex: string) => ({ pattern: { Regex } });
const step = (type: string, more: object = {}) => ({ type, ...more });
const sequence = (...steps: object[]) => step("Sequence", { pretokenizers: steps, normalizers: steps });

describe("steps that may take for ever go to the helper whole, with a deadline", () => {
  test.each<[string, object]>([
    ["a regular expression that splits", { pre_tokenizer: step("Split", regex("(x+x+)+y")) }],
    ["one among others", { pre_tokenizer: sequence(step("Digits"), sequence(step("Split", regex("(x+x+)+y")))) }],
    ["one that is nearly a known one", { pre_tokenizer: step("Split", regex(`${wordPatterns.qwen2}|(x+x+)+y`)) }],
    ["one that replaces", { normalizer: step("Replace", { ...regex("(x+x+)+y"), content: "" }) }],
    ["a text that grows", { normalizer: step("Replace", { pattern: { String: "x" }, content: "xx" }) }],
    ["a text that begins with much", { normalizer: step("Prepend", { prepend: "xx" }) }],
    ["spaces that become much", { pre_tokenizer: step("Metaspace", { replacement: "xx" }) }],
    ["a text that grows again and again", { pre_tokenizer: sequence(...Array(9).fill(step("ByteLevel"))) }],
    ["what is not known", { pre_tokenizer: step("Newer") }],
  ])("%s", async (_, change) => {
    const { sent, helper } = recorder();
    const encoder = await openTokenizer(sourceWith({ ...llama2(), ...change }), helper);
    expect(sent).toEqual(["all of 1 in time", "1 in time"]);
    expect(await all(encoder.pieces({ text: "x".repeat(20) }))).toEqual([[1], [7], []]);
    expect(await encoder.encode("x")).toEqual([1, 7]);
    expect(sent.slice(2)).toEqual(["20 in time", "all of 1 in time"]);
  });

  test("so do the samples that a text is cut by", async () => {
    const { sent, helper } = recorder();
    const pre_tokenizer = step("Split", regex("\\p{L}+|x*"));
    await withTokenizer(sourceWith({ ...llama2(), pre_tokenizer }), helper, (encoder) => all(encoder.pieces({ text: prose(9000, words) })));
    expect(sent.length).toBeGreaterThan(10);
    expect(sent.every((text) => text.endsWith("in time"))).toBe(true);
  });
});

describe("well-known steps need no helper", () => {
  test.each<[string, object]>([
    ["the demo's", demo],
    ["Llama 2's", llama2()],
    ...Object.entries(wordPatterns).map(([name, pattern]): [string, object] => {
      const steps = sequence(step("Split", { ...regex(pattern), behavior: "Isolated" }), step("ByteLevel", { use_regex: false }));
      return [name, { ...llama2(), normalizer: step("NFC"), pre_tokenizer: steps }];
    }),
    ["Gemma's", { ...llama2(), pre_tokenizer: step("Split", { pattern: { String: " " }, behavior: "MergedWithPrevious" }) }],
    ["SmolLM's", { ...llama2(), pre_tokenizer: sequence(step("Digits", { individual_digits: true }), step("ByteLevel")) }],
  ])("%s", async (_, json) => {
    const { sent, helper } = recorder();
    await withTokenizer(sourceWith(json), helper, async (encoder) => {
      await all(encoder.pieces({ text: prose(9000, words) }));
      await encoder.encode("x");
    });
    expect(sent).toEqual([]);
  });
});

test.each([
  ["is done", async () => "done", "done"],
  ["has failed", async () => Promise.reject(new Error("no")), "no"],
])("the thread is ended when the work %s", async (_, then, want) => {
  const { helper, isOpen } = recorder();
  const source = sourceWith({ ...llama2(), pre_tokenizer: step("Newer") });
  const work = withTokenizer(source, helper, () => {
    expect(isOpen()).toBe(true);
    return then();
  });
  expect(await work.catch((e) => e.message)).toBe(want);
  expect(isOpen()).toBe(false);
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
