import { describe, expect, test } from "vitest";
import { u32 } from "../../src/export/gguf/metadata-values";
import { readGguf } from "../../src/export/gguf/reader";
import { interleaved } from "../../src/export/gguf/row-order";
import { type GgmlType, ggmlTypes } from "../../src/export/gguf/types";
import { bytesFile, memorySource } from "../../src/io/memory";
import { mulberry32 } from "../../src/model/random";
import type { Recipe } from "../../src/recipe/recipe";
import { decodeBlocks, nonFiniteBlock } from "../../src/reopen/gguf/blocks";
import type { Verification } from "../../src/results/verification";
import { openDemo } from "../support/demo";
import { decode } from "../support/ggml";
import { blockConfig, exportOf } from "../support/gguf";
import { check, codesOf, complaints } from "./files";
import { exported } from "./gguf-files";

describe.each(Object.keys(ggmlTypes) as GgmlType[])("blocks of %s", (type) => {
  const { values, bytes: size } = ggmlTypes[type];
  const blocks = Math.max(1, 512 / values);
  const random = (seed: number) => {
    const next = mulberry32(seed);
    // Of f16 words half would be infinite in one of a few hundred.
    const mask = type === "F16" ? 0xbf : 255;
    return Uint8Array.from({ length: blocks * size }, () => next() & mask);
  };

  test("are decoded as the tests' own decoder does", () => {
    let compared = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const bytes = random(seed);
      if (nonFiniteBlock(type, bytes) >= 0) continue;
      const want = decode(type, bytes, blocks * values);
      // A product of f32 that overflows is no finite number in either.
      expect([...decodeBlocks(type, bytes)]).toEqual([...want]);
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
  });
});

/** Moves the rows of q and k: row r becomes the file's row `from(r)`. */
const moveRows = (t: Map<string, { shape: readonly number[]; bytes: Uint8Array }>, from: (r: number) => number) => {
  for (const name of ["blk.0.attn_q.weight", "blk.0.attn_k.weight"]) {
    const { shape, bytes } = t.get(name)!;
    const row = bytes.length / shape[0];
    const before = bytes.slice();
    for (let r = 0; r < shape[0]; r++) bytes.set(before.subarray(from(r) * row, (from(r) + 1) * row), r * row);
  }
};

/** The findings but for the chat template, which the demo's tokenizer does not have. */
const toldOf = (verification: Verification) =>
  complaints(verification).flatMap(({ level, code, where }) => (where === "tokenizer.chat_template" ? [] : [`${level} ${code}`]));

const d = blockConfig.head_dim;
const back = (r: number) => {
  for (let i = 0; i < d; i++) if (interleaved(i, d) === r % d) return r - (r % d) + i;
  return -1;
};
const noTemplate = "warning gguf-keys";
const qwen = { model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] };

describe.each<[Partial<Recipe>, object]>([
  [{ bits: 4, groupSize: 32 }, {}],
  [{ bits: 8, groupSize: 32 }, { tie_word_embeddings: true }],
  [{ bits: 4, symmetric: false, groupSize: 32 }, {}],
  [
    { type: "Q4_K", bits: 4, symmetric: false },
    { hidden_size: 256, intermediate_size: 256, head_dim: 64 },
  ],
])("a sound GGUF file: %j %j", (change, config) => {
  test("passes by itself and beside the original", async () => {
    const { model, again } = await exported(change, config);
    const found = await check(await again(), { original: model });
    expect(codesOf(found)).toEqual([noTemplate]);
    expect(found.layers).toHaveLength(7);
    for (const { error, name } of found.layers!) {
      expect(error, name).toBeGreaterThan(0);
      expect(error, name).toBeLessThan(0.25);
    }
  });
});

describe("a known mistake is named", () => {
  type Edit = Parameters<Awaited<ReturnType<typeof exported>>["again"]>[0];
  test.each<[string, Edit, { alone: string[]; beside?: string[]; says: RegExp }]>([
    [
      "q and k not permuted",
      { tensors: (t) => moveRows(t, back) },
      {
        alone: [],
        beside: ["error gguf-rows"],
        says: /nearer the original's with the rows of q and k as Hugging Face has them: they were not permuted/,
      },
    ],
    [
      "q and k permuted twice",
      { tensors: (t) => moveRows(t, (r) => interleaved(r, d)) },
      { alone: [], beside: ["error gguf-rows"], says: /permuted two times/ },
    ],
    [
      "q and k permuted backwards",
      { tensors: (t) => moveRows(t, (r) => back(back(r))) },
      { alone: [], beside: ["error gguf-rows"], says: /permuted backwards/ },
    ],
    [
      "no pre-tokenizer",
      { keys: (k) => k.delete("tokenizer.ggml.pre") },
      { alone: ["error gguf-keys"], says: /not said how texts are cut into words/ },
    ],
    ["no tokens", { keys: (k) => k.delete("tokenizer.ggml.tokens") }, { alone: ["error gguf-keys"], says: /tokenizer's keys are missing/ }],
    ["no merges", { keys: (k) => k.delete("tokenizer.ggml.merges") }, { alone: ["error gguf-keys"], says: /tokenizer\.ggml\.merges/ }],
    [
      "no end of text",
      { keys: (k) => k.delete("tokenizer.ggml.eos_token_id") },
      { alone: ["warning gguf-keys"], says: /Special tokens are missing/ },
    ],
    ["no architecture", { keys: (k) => k.delete("general.architecture") }, { alone: ["error gguf-keys"], says: /without these keys/ }],
    [
      "no number of heads",
      { keys: (k) => k.delete("llama.attention.head_count") },
      { alone: ["error gguf-keys"], says: /llama\.attention\.head_count/ },
    ],
    [
      "a width that contradicts the tensors",
      { keys: (k) => k.set("llama.feed_forward_length", u32(64)) },
      {
        alone: ["error wrong-shape"],
        beside: ["error wrong-shape", "error other-network"],
        says: /blk\.0\.ffn_gate\.weight \(128 × 128, not 64 × 128\)/,
      },
    ],
    [
      "a token id beyond the vocabulary",
      { keys: (k) => k.set("tokenizer.ggml.eos_token_id", u32(5000)) },
      { alone: ["error config"], says: /It is 5000, but there are only/ },
    ],
    ["billions of blocks", { keys: (k) => k.set("llama.block_count", u32(4e9)) }, { alone: ["error config"], says: /It is 4000000000/ }],
    ["a truncated file", { cut: 40 }, { alone: ["error truncated"], says: /its header tells of/ }],
    [
      "a tensor missing",
      { tensors: (t) => t.delete("blk.0.ffn_norm.weight") },
      { alone: ["error missing-tensor"], says: /Tensors are missing/ },
    ],
    [
      "a tensor too many",
      { tensors: (t) => t.set("blk.0.more", { type: "F32", shape: [1], bytes: new Uint8Array(4) }) },
      { alone: ["warning unexpected-tensor"], says: /no place for/ },
    ],
    [
      "a scale that is NaN",
      { tensors: (t) => t.get("blk.0.attn_v.weight")!.bytes.fill(0x7e, 18, 20) },
      {
        alone: ["error scales-not-finite"],
        beside: ["error scales-not-finite", "error far-from-original"],
        says: /Scales or offsets of blocks are NaN/,
      },
    ],
    [
      "a norm that is infinite",
      { tensors: (t) => t.get("blk.0.attn_norm.weight")!.bytes.set([0, 0, 0x80, 0x7f]) },
      { alone: ["error not-finite"], says: /Weights are NaN or infinite/ },
    ],
  ])("%s", async (_, edit, { alone, beside = alone, says }) => {
    const { model, again } = await exported({ bits: 4, groupSize: 32 });
    const byItself = await check(await again(edit));
    const compared = await check(await again(edit), { original: model });
    expect(toldOf(byItself)).toEqual(alone);
    expect(toldOf(compared)).toEqual(beside);
    expect(JSON.stringify([...byItself.findings, ...compared.findings])).toMatch(says);
  });

  test("rows permuted where llama.cpp takes them as they are", async () => {
    const { model, again } = await exported({ bits: 4, groupSize: 32 }, qwen);
    const source = await again({ tensors: (t) => moveRows(t, (r) => interleaved(r, d)) });
    const found = await check(source, { original: model });
    expect(codesOf(found)).toContain("error gguf-rows");
    expect(JSON.stringify(found.findings)).toMatch(/though llama\.cpp takes them as they are/);
    expect(codesOf(await check(await again(), { original: model }))).not.toContain("error gguf-rows");
  });
});

test("other programs' types are passed over, and said so", async () => {
  const { again } = await exported({ bits: 4, groupSize: 32 });
  const source = await again();
  const bytes = await source.files[0].read(0, source.files[0].size);
  const { tensors, metadataAt } = await readGguf(source.files[0]);
  // IQ4_NL has Q4_0's size; the type's number follows a tensor's name and shape.
  const name = new TextEncoder().encode("blk.0.attn_v.weight");
  const at = Buffer.from(bytes).indexOf(Buffer.from(name), metadataAt.end) + name.length + 4 + 16;
  expect(new DataView(bytes.buffer).getUint32(at, true)).toBe(ggmlTypes.Q4_0.id);
  new DataView(bytes.buffer).setUint32(at, 20, true);
  const found = await check(memorySource("m.gguf", [bytesFile("m.gguf", bytes)]));
  expect(codesOf(found)).toEqual([noTemplate, "warning unreadable"]);
  expect(found.tensors).toBe(tensors.length);
});

describe("a split GGUF model", () => {
  test("is checked whole, whatever the order of its files", async () => {
    const { model, again } = await exported({ bits: 4, groupSize: 32 });
    const { label, files } = await again({ split: 20_000 });
    expect(files.length).toBeGreaterThan(2);
    const found = await check(memorySource(label, files.toReversed()), { original: model });
    expect(toldOf(found)).toEqual([]);
    expect(found.layers).toHaveLength(7);
  });

  test("without one of its parts is not sound", async () => {
    const { again } = await exported({ bits: 4, groupSize: 32 });
    const { label, files } = await again({ split: 20_000 });
    const found = await check(memorySource(label, files.toSpliced(1, 1)));
    expect(toldOf(found)[0]).toBe("error missing-part");
    expect(JSON.stringify(found.findings)).toContain(files[1].name);
  });
});

test("layers that were not quantized, only rounded from bf16 to f16, are not called scaled", async () => {
  const model = await openDemo();
  const { files } = await exportOf(model.source, { bits: 4, groupSize: 32, blocks: 1 }, model);
  const found = await check(
    memorySource(
      "demo",
      [...files].map(([name, bytes]) => bytesFile(name, bytes)),
    ),
    { original: model },
  );
  expect(toldOf(found)).toEqual([]);
  expect(found.layers).toHaveLength(84);
});
