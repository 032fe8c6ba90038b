import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readyPython } from "../../scripts/python.mjs";
import { q2K, q3K, q4K, q5K, q6K } from "../../src/export/gguf/k-blocks";
import { readGguf } from "../../src/export/gguf/reader";
import { type GgmlType, ggmlTypes } from "../../src/export/gguf/types";
import { f16Word } from "../../src/io/dtype";
import { diskSourceFile } from "../../src/io/node";
import { windowsFromNpy } from "../../src/model/calibration";
import { runnable } from "../../src/model/checkpoint";
import { mulberry32 } from "../../src/model/random";
import { createCpuOps } from "../../src/ops/cpu";
import { destinations } from "../../src/recipe/destinations";
import type { Recipe } from "../../src/recipe/recipe";
import { tensorTypes } from "../../src/recipe/types";
import { tokenizerOf } from "../../src/reopen/gguf/tokenizer";
import { openAny } from "../../src/reopen/open";
import { demoTokens, openDemo } from "../support/demo";
import { evaluate, perplexityOf as measured } from "../support/engine";
import { decode, parseGguf } from "../support/ggml";
import { blockSource, exportOf } from "../support/gguf";
import { llamaFolder } from "../support/llama";
import { root } from "../support/tree";
import { exportBoth, openFolder, startLlama } from "./gguf";
import { npy } from "./model";

const folder = mkdtempSync(join(tmpdir(), "qep-gguf-"));
const llama = startLlama();
afterAll(() => {
  llama.stop();
  rmSync(folder, { recursive: true, force: true });
});

const whole = process.env.QEP_INTEROP === "all";
const tokens = join(folder, "tokens.npy");

function python(...args: string[]): void {
  const { status, stderr } = spawnSync(readyPython()!, [join(root, "tests/interop/gguf_clients.py"), ...args], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
}

/** Every way through the names, rows, keys and biases. */
const allFamilies = ["gqa", "mha-tied", "llama3", "linear", "yarn", "yarn-factor", "bias", "mistral", "qwen2", "qwen3"];
const families = whole ? allFamilies : ["llama3", "bias", "qwen3"];

/** Every type, with what its weights may be off the dense export's, of the largest weight of a tensor. */
const types: [name: string, recipe: Partial<Recipe>, off: number][] = [
  ["Q2_0", { bits: 2, groupSize: 64, symmetric: true }, 0],
  ["Q2_0 of rows", { bits: 2, symmetric: true }, 0],
  ["Q4_0 of 2 bits", { bits: 2, groupSize: 32, symmetric: true }, 0],
  ["Q4_0", { bits: 4, groupSize: 32, symmetric: true }, 0],
  ["Q4_0 of 3 bits", { bits: 3, groupSize: 128, symmetric: true }, 0],
  ["Q8_0", { bits: 8, groupSize: 64, symmetric: true }, 0],
  ["Q2_K", { bits: 2 }, 0],
  ["Q3_K", { bits: 3, symmetric: true }, 0],
  ["Q4_K of 3 bits", { bits: 3 }, 0],
  ["Q4_K", { bits: 4 }, 0],
  // m, at most 15/15 of the range, is rounded to f16, and so is the sum.
  ["Q4_1", { bits: 4, groupSize: 64 }, 2 ** -10],
  ["Q4_1 with real zeros", { bits: 4, groupSize: 32, zeros: "real" }, 2 ** -11],
  // Their points are no f16 values, to which the dense export rounds them.
  ...tensorTypes.map((type): (typeof types)[number] => [`type ${type}`, { type }, 2 ** -11]),
  ["type Q4_K_M", { type: "Q4_K_M" }, 2 ** -11],
  ["type Q2_K_M", { type: "Q2_K_M", method: "gptq", vocabulary: "kept" }, 2 ** -11],
];

beforeAll(() => {
  python("make", folder, ...families);
  const { ids, length } = demoTokens("evaluation");
  writeFileSync(tokens, npy(ids.subarray(0, 2 * length), [2, length]));
}, 300_000);

/** By ourselves, of a GGUF file. */
async function perplexityOf(path: string): Promise<number> {
  const model = runnable(await openAny({ label: "again", files: [await diskSourceFile(path)] }));
  const windows = windowsFromNpy("tokens.npy", readFileSync(tokens), 256);
  return (await measured({ ops: createCpuOps(), model, tokens: windows, emit: () => {} })).perplexity;
}

/** The weights as llama.cpp dequantizes them, and what it computes with them, beside the dense export of the same run. */
async function compare(name: string, change: Partial<Recipe>, off: number): Promise<void> {
  const out = mkdtempSync(join(folder, "case-"));
  const { file, dense } = await exportBoth(await openFolder(join(folder, name)), out, change);
  const wide = join(out, "wide.gguf");
  const weights = await llama.check({ job: "weights", file, dense, wide });
  expect(weights, name).not.toHaveProperty("refused");
  expect(weights.difference, weights.tensor).toBeLessThanOrEqual(off);
  expect(weights.readers ?? 0).toBe(0);
  const logits = await llama.check({ job: "logits", wide, dense, tokens });
  // Points of 2 bits are f16 values, so that both have the same weights; others are rounded in the dense export.
  expect(logits.difference).toBeLessThan(change.bits === 2 && change.symmetric ? 1e-5 : 5e-3);
  // Opened again it is llama.cpp's model, with the very weights that llama.cpp has in f32.
  const { perplexity } = await llama.check({ job: "perplexity", file: wide, tokens, exact: true });
  for (const path of [file, wide]) expect((await perplexityOf(path)) / perplexity!).toBeCloseTo(1, 6);
  rmSync(out, { recursive: true });
}

describe("the file has the dense export's weights, names, rows, rope and biases", () => {
  test.each(families)("%s", (name) => compare(name, { bits: 2, groupSize: 64, symmetric: true }, 0));
});

describe("each type is read as it was meant", () => {
  const matrix = types.flatMap((type) => (whole ? allFamilies : ["llama3"]).map((family) => [family, ...type] as const));
  const usual = matrix.filter(([, name]) => ["Q4_0", "Q2_K", "Q3_K", "Q4_1", "type Q4_K_M"].includes(name));
  test.each(whole ? matrix : usual)("%s as %s", (family, _, change, off) => compare(family, change, off));
});

test("super-blocks of given parts are read as they were meant, by libggml and gguf-py", async () => {
  const next = mulberry32(5);
  const integers = (count: number, n: number, from = 0) => Array.from({ length: count }, () => from + (next() % n));
  const cases = [
    ["Q2_K", q2K, 4, integers(16, 16), integers(16, 16)],
    ["Q3_K", q3K, 8, integers(16, 64, -32), []],
    ["Q4_K", q4K, 16, integers(8, 64), integers(8, 64)],
    ["Q5_K", q5K, 32, integers(8, 64), integers(8, 64)],
    ["Q6_K", q6K, 64, integers(16, 256, -128), []],
  ] as const;
  for (const [type, pack, top, scales, mins] of cases) {
    const { id, bytes } = ggmlTypes[type as GgmlType];
    const blocks = new Uint8Array(bytes);
    pack(blocks, 0, { codes: Uint8Array.from(integers(256, top)), from: 0, scales, mins, d: f16Word(0.0123), dmin: f16Word(0.0456) });
    const want = Buffer.from(decode(type, blocks, 256).buffer).toString("hex");
    const report = await llama.check({ job: "dequantize", type: id, values: 256, blocks: Buffer.from(blocks).toString("hex") });
    expect(report, type).toEqual({ values: want, gguf: want });
  }
});

test("llama.cpp is of the version that people are told", () => {
  const { tested } = destinations["llama.cpp"];
  const { version } = tested.find(({ name }) => name === "llama.cpp")!;
  expect(readdirSync(llamaFolder()).filter((name) => name.startsWith("libllama.v"))).toEqual([
    expect.stringMatching(new RegExp(`^libllama\\.v${version.replaceAll(".", "\\.")}\\.`)),
  ]);
});

describe("the demo", () => {
  test("has our perplexity in llama.cpp, and goes on as transformers does", async () => {
    const model = await openDemo();
    const { file, dense, finished } = await exportBoth(model, join(folder, "demo"), { bits: 4, groupSize: 32, symmetric: true });
    const { ids, length } = demoTokens("evaluation");
    const evaluation = { windows: 2, length, ids: ids.subarray(0, 2 * length) };
    const ours = await evaluate({ ops: createCpuOps(), model, tokens: evaluation, emit: () => {} }, finished.quantized);
    const { perplexity } = await llama.check({ job: "perplexity", file, tokens });
    // llama.cpp rounds what it multiplies to 8 bits.
    expect(Math.abs(perplexity! / ours.perplexity - 1)).toBeLessThan(0.01);
    const prompt = "Once upon a time, there was a little girl named";
    const [theirs, reference] = await Promise.all(
      [
        { job: "greedy", file },
        { job: "reference", dense },
      ].map((job) => llama.check({ ...job, prompt, count: 12 })),
    );
    expect(theirs).toEqual(reference);
  });

  test("in parts is the same model, and not without one of them", async () => {
    const model = await openDemo();
    const change = { bits: 4, groupSize: 32, symmetric: true, blocks: 1 } as const;
    const [whole, first] = await Promise.all(
      [null, 1].map(async (splitSize) => (await exportBoth(model, join(folder, `split-${splitSize}`), { ...change, splitSize })).file),
    );
    const parts = readdirSync(dirname(first)).filter((name) => name.endsWith(".gguf"));
    expect(parts).toEqual([expect.stringMatching(/-00001-of-00002\.gguf$/), expect.stringMatching(/-00002-of-00002\.gguf$/)]);
    const perplexity = async (file: string) => (await llama.check({ job: "perplexity", file, tokens })).perplexity;
    expect(await perplexity(first)).toBe(await perplexity(whole));
    rmSync(join(dirname(first), parts[1]));
    expect(await llama.check({ job: "perplexity", file: first, tokens })).toHaveProperty("refused");
  });
});

/** What tokenizers differ on. */
const texts = [
  "",
  " ",
  "   ",
  "Hello world",
  " Hello  world   again ",
  "I'm, you're; he'LL don't WE'VE 'S",
  "1 12 123 1234 12345 3.14159 1,000,000 ٣٤٥ ½ Ⅷ",
  "for (let i = 0; i < 10; i++) {\n\treturn a[i] ?? [x, y + 1];\n}\n\n\n",
  "line\r\nline\r\n\r\n  indented\n\t\ttabs \n",
  "😀 👩‍👩‍👧‍👦 🇩🇪 ❤️‍🔥",
  "中文字符。日本語のテキスト、한국어 텍스트",
  "naïve café Übergrößenträger ŁÓDŹ Привет мир Ελληνικά שלום עולם مرحبا हिन्दी ไทย",
  "<s>text</s> <|im_start|>user\nhi<tool>there <|im_start|>",
  "a\u00a0b\u2003c\u200bd\ufeffe",
  "camelCase HTTPServer XMLHttpRequest snake_case ALLCAPS iPhone",
  "!!!??? ... --- === /// \\\\ @#$%^&*() «quoted» “curly”",
  "ab".repeat(50),
  "\u0000\u0001\u007f",
];

describe("llama.cpp makes the ids of tokenizers", () => {
  const every = () => true;
  const kinds: [name: string, comparable: (text: string) => boolean][] = [
    ["gpt-2", every],
    ["smollm", every],
    ["llama-bpe", every],
    ["smaug-bpe", every],
    ["qwen2", every],
    ["tekken", every],
    ["prepend", every],
    // transformers puts no space before a text that begins with one, nor after special tokens; llama.cpp and SentencePiece do.
    ["metaspace", (text) => !/^ |<\|?[a-z]/.test(text)],
    // SentencePiece knows no special tokens within a text.
    ["sentencepiece", (text) => !/<\|?[a-z]/.test(text)],
  ];
  const trained = join(folder, "tokenizers");
  beforeAll(() => {
    const demo = join(folder, "demo.txt");
    const stories = readFileSync(join(root, "public/demo/calibration.jsonl"), "utf8").split("\n").slice(0, 200).join("\n");
    writeFileSync(demo, stories);
    const hard = join(folder, "hard.txt");
    writeFileSync(hard, texts.filter((text) => !text.includes("\0")).join("\n"));
    python("tokenizers", trained, demo, hard, join(root, "README.md"), join(root, "src/export/gguf/k-blocks.ts"));
  }, 300_000);

  test.each(kinds)("%s", async (kind, comparable) => {
    const at = (name: string) => join(trained, kind, name);
    const textOf = (name: string) => (existsSync(at(name)) ? readFileSync(at(name)) : null);
    const files = {
      "tokenizer.json": textOf("tokenizer.json"),
      "tokenizer.model": textOf("tokenizer.model"),
      "tokenizer_config.json": null,
    };
    const { files: written } = await exportOf(blockSource({ bos_token_id: kind === "gpt-2" ? 0 : 1, eos_token_id: 2 }, files), { bits: 4 });
    const file = join(folder, `${kind}.gguf`);
    writeFileSync(file, [...written].find(([name]) => name.endsWith(".gguf"))![1]);
    const tokenizer = at(existsSync(at("tokenizer.json")) ? "tokenizer.json" : "tokenizer.model");
    const same = texts.filter(comparable);
    expect(await llama.check({ job: "tokens", file, tokenizer, texts: same })).toEqual({ text: null });
    // What the file is opened with again has llama.cpp's ids too.
    const own = tokenizerOf((await readGguf(await diskSourceFile(file))).metadata);
    const again = join(mkdtempSync(join(folder, "case-")), "tokenizer.json");
    writeFileSync(again, JSON.stringify(own!.tokenizer));
    expect(await llama.check({ job: "tokens", file, tokenizer: again, texts: same })).toEqual({ text: null });
  });
});

describe("a broken file is seen to be one", () => {
  const broken = join(folder, "broken.gguf");
  const wide = join(folder, "broken-wide.gguf");
  const recipe = { bits: 2, groupSize: 64, symmetric: true } as const;

  test("whose q has its rows in transformers' order: other weights, other logits", async () => {
    const { file, dense } = await exportBoth(await openFolder(join(folder, families[0])), mkdtempSync(join(folder, "case-")), recipe);
    const bytes = readFileSync(file);
    const { at, dims, data } = parseGguf(bytes).tensors.get("blk.0.attn_q.weight")!;
    const rowBytes = ((dims[0] / 64) * 18) | 0;
    const rows = data.length / dims[0];
    const source = Uint8Array.from(bytes.subarray(at, at + rows * rowBytes));
    const d = dims[1] / 4;
    for (let r = 0; r < rows; r++) {
      // Where the row of transformers' order has gone.
      const inHead = r % d;
      const from = r - inHead + 2 * (inHead % (d / 2)) + Math.floor(inHead / (d / 2));
      bytes.set(source.subarray(from * rowBytes, (from + 1) * rowBytes), at + r * rowBytes);
    }
    writeFileSync(broken, bytes);
    expect(await llama.check({ job: "weights", file: broken, dense, wide })).toMatchObject({ tensor: "blk.0.attn_q.weight" });
    expect((await llama.check({ job: "logits", wide, dense, tokens })).difference).toBeGreaterThan(1e-2);
  });

  test("whose second tensor begins elsewhere: refused", async () => {
    const { file } = await exportBoth(await openFolder(join(folder, families[0])), mkdtempSync(join(folder, "case-")), recipe);
    const bytes = readFileSync(file);
    const name = "blk.0.attn_norm.weight";
    bytes[bytes.indexOf(name) + name.length + 4 + 8 + 4] ^= 32;
    writeFileSync(broken, bytes);
    expect((await llama.check({ job: "perplexity", file: broken, tokens })).refused).toMatch(/offset/);
  });
});
