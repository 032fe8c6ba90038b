/** GGUF: the network, embeddings, head, norms and biases beside the original's. */
import { describe, expect, test } from "vitest";
import { f32, i32s, text, texts, u32 } from "../../src/export/gguf/metadata-values";
import type { GgmlType } from "../../src/export/gguf/types";
import type { Recipe } from "../../src/recipe/recipe";
import type { Tensors } from "../support/tiny";
import { addBiases, check, complaints, type Json, scale } from "./files";
import { exported } from "./gguf-files";

const kinds = ["q_proj", "k_proj", "v_proj"];
const biased = (t: Tensors) => void addBiases(t, kinds);
const qwen2 = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
const qwen3 = { model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] };
const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: 16 };
const llama3 = {
  rope_theta: 500_000,
  rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 },
};
const yarn = { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 } };
const wide = { hidden_size: 256, intermediate_size: 256, head_dim: 64 };
const plain: Partial<Recipe> = { bits: 4, groupSize: 32 };

type Exported = Awaited<ReturnType<typeof exported>>;
type Edit = NonNullable<Parameters<Exported["again"]>[0]>;

/** "error CODE" of what is found but for the chat template, which the demo's tokenizer does not have. */
const toldOf = (found: Awaited<ReturnType<typeof check>>) =>
  complaints(found).flatMap(({ level, code, where }) => (where === "tokenizer.chat_template" ? [] : [`${level} ${code}`]));

describe.each<[string, Partial<Recipe>, Json?, ((t: Tensors) => void)?]>([
  ["Qwen2's biases", plain, qwen2, biased],
  ["Llama with biases of q and k, turned", plain, { attention_bias: true }, (t) => void addBiases(t, [...kinds, "o_proj"])],
  ["AWQ's folds", { ...plain, method: "awq" }, qwen2, biased],
  ["Qwen3's norms of heads, tied", plain, { ...qwen3, tie_word_embeddings: true }],
  ["Llama 3's divisors", plain, llama3],
  ["YaRN", plain, yarn],
  ["dynamic scaling", plain, { rope_scaling: { rope_type: "dynamic", factor: 4 } }],
  ["a window, where the context ends", plain, mistral],
  ["rounded embeddings and head", { bits: 4, symmetric: false, type: "Q4_K_M", vocabulary: "rounded" }, wide],
  [
    "a rounded head that is the embeddings, 2 bits",
    { bits: 2, symmetric: false, type: "Q2_K_M", vocabulary: "rounded" },
    { ...wide, tie_word_embeddings: true },
  ],
])("a sound file: %s", (_, change, config, tensors) => {
  test("is the original's in all that is beside the layers", async () => {
    const { model, again } = await exported(change, config, tensors);
    expect(toldOf(await check(await again()))).toEqual([]);
    const found = await check(await again(), { original: model });
    expect(toldOf(found)).toEqual([]);
    expect(JSON.stringify(found.findings)).toMatch(/other tensors \(embeddings, head, norms, biases\) are the original's/);
  });
});

test("a longer context is no other network, nor are more rows of embeddings", async () => {
  const { model, again } = await exported(plain);
  const edit: Edit = {
    keys(k) {
      k.set("llama.context_length", u32(4096));
      const more = (name: string, make: typeof texts | typeof i32s, value: string | number) => {
        const { value: list } = k.get(`tokenizer.ggml.${name}`) as { value: ArrayLike<never> };
        k.set(`tokenizer.ggml.${name}`, make([...Array.from(list), ...new Array<never>(8).fill(value as never)]));
      };
      more("tokens", texts, "[PAD]");
      more("token_type", i32s, 5);
    },
    tensors(t) {
      for (const name of ["token_embd.weight", "output.weight"]) {
        const { type, shape, bytes } = t.get(name)!;
        const more = new Uint8Array((bytes.length / shape[0]) * (shape[0] + 8));
        more.set(bytes);
        t.set(name, { type, shape: [shape[0] + 8, shape[1]], bytes: more });
      }
    },
  };
  const seen: [number, number][] = [];
  const found = await check(await again(edit), { original: model, progress: (done, total) => seen.push([done, total]) });
  expect(toldOf(found)).toEqual([]);
  expect(seen.at(-1)).toEqual([found.bytes, found.bytes]);
  const aborted = new AbortController();
  const cancelled = check(await again(), {
    original: model,
    signal: aborted.signal,
    progress: (_, __, where) => where === "token_embd.weight" && aborted.abort(),
  });
  await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
});

const zero = (t: Map<string, { bytes: Uint8Array }>, name: string) => t.get(name)!.bytes.fill(0);
const f32Of = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe("a file that computes another model", () => {
  const vector = (t: Map<string, { type: GgmlType; shape: readonly number[]; bytes: Uint8Array }>, name: string, values: number[]) =>
    t.set(name, { type: "F32", shape: [values.length], bytes: f32Of(values) });
  test.each<[string, [Partial<Recipe>, Json?, ((t: Tensors) => void)?], Edit, string[], RegExp]>([
    [
      "no divisors of angles",
      [plain, llama3],
      { tensors: (t) => t.delete("rope_freqs.weight") },
      ["error other-network"],
      /Rotary embedding: theta 500000 without scaling; in the original: theta 500000 with llama3 scaling.*rope_freqs\.weight/,
    ],
    [
      "other divisors of angles",
      [plain, llama3],
      { tensors: (t) => vector(t, "rope_freqs.weight", new Array(16).fill(2)) },
      ["error other-network"],
      /theta 500000 with divided scaling \(divisors 2 to 2\)/,
    ],
    [
      "another base of angles",
      [plain, llama3],
      { keys: (k) => k.set("llama.rope.freq_base", f32(10_000)) },
      ["error other-network"],
      /Rotary embedding: theta 10000 with divided scaling/,
    ],
    [
      "no YaRN",
      [plain, yarn],
      { keys: (k) => k.delete("llama.rope.scaling.type") },
      ["error other-network"],
      /in the original: theta 10000 with yarn scaling \(factor 4/,
    ],
    [
      "half of each head turned",
      [plain],
      { keys: (k) => k.set("llama.rope.dimension_count", u32(16)) },
      ["error other-network"],
      /Rotated dimensions of a head: 16; in the original: 32/,
    ],
    [
      "another epsilon",
      [plain],
      { keys: (k) => k.set("llama.attention.layer_norm_rms_epsilon", f32(0.1)) },
      ["error other-network"],
      /Epsilon of the norms: 0\.1; in the original: 0\.00001/,
    ],
    [
      "embeddings that are 0",
      [plain],
      { tensors: (t) => zero(t, "token_embd.weight") },
      ["error far-from-original"],
      /token_embd\.weight \(relative error 1\.00\)/,
    ],
    [
      "rounded embeddings with the scales of others",
      [{ bits: 4, symmetric: false, type: "Q4_K_M", vocabulary: "rounded" }, wide],
      { tensors: (t) => void t.get("token_embd.weight")!.bytes.set(t.get("token_embd.weight")!.bytes.slice(144 * 40, 144 * 80)) },
      ["error far-from-original"],
      /token_embd\.weight \(relative error 0\.\d+, 1\.\d in row \d+\)/,
    ],
    [
      "a bias of q whose values are not permuted",
      [plain, { attention_bias: true }, (t) => void addBiases(t, [...kinds, "o_proj"])],
      {
        tensors(t) {
          const { bytes } = t.get("blk.0.attn_q.bias")!;
          bytes.set(bytes.slice(0, 64), 64);
        },
      },
      ["error far-from-original"],
      /blk\.0\.attn_q\.bias \(relative error/,
    ],
    [
      "a bias that the original does not have",
      [plain],
      { tensors: (t) => vector(t, "blk.0.attn_output.bias", new Array(128).fill(0.5)) },
      ["error far-from-original"],
      /blk\.0\.attn_output\.bias/,
    ],
    [
      "the embeddings for a head",
      [plain],
      { tensors: (t) => t.delete("output.weight") },
      ["error other-network"],
      /Head: the embeddings; in the original: a matrix of its own/,
    ],
    [
      "a head of its own",
      [plain, { tie_word_embeddings: true }],
      {
        tensors(t) {
          t.set("output.weight", structuredClone(t.get("token_embd.weight")!));
          scale(t, "output.weight", (i) => (i % 3) - 1);
        },
      },
      ["error far-from-original"],
      /output\.weight \(relative error/,
    ],
    [
      "a context beyond the window",
      [plain, mistral],
      { keys: (k) => k.set("llama.context_length", u32(64)) },
      ["warning other-network"],
      /Beyond 16 tokens it computes another model.*llama\.context_length/,
    ],
    [
      "a norm of queries that is another",
      [plain, qwen3],
      { tensors: (t) => zero(t, "blk.0.attn_q_norm.weight") },
      ["error far-from-original"],
      /attn_q_norm\.weight \(relative error 1\.00\)/,
    ],
  ])("%s", async (_, [change, config, tensors], edit, codes, says) => {
    const { model, again } = await exported(change, config, tensors);
    const found = await check(await again(edit), { original: model });
    expect(toldOf(found)).toEqual(codes);
    expect(JSON.stringify(found.findings)).toMatch(says);
  });

  test.each([
    ["blk.0.attn_q.bias", qwen2, biased],
    ["blk.0.attn_k_norm.weight", qwen3, undefined],
  ] as const)("without %s, with an original and without", async (last, config, tensors) => {
    const { model, again } = await exported(plain, config, tensors);
    const left = last.replace(/^blk\.0\./, "");
    const without: Edit = { tensors: (t) => [...t.keys()].filter((name) => name.endsWith(left)).map((name) => t.delete(name)) };
    for (const original of [null, model]) {
      const found = await check(await again(without), { original });
      expect(toldOf(found)).toEqual(["error missing-tensor"]);
      expect(JSON.stringify(found.findings)).toContain(last);
    }
  });

  test("of another architecture", async () => {
    const { model, again } = await exported(plain);
    const edit: Edit = {
      keys(k) {
        for (const [key, value] of [...k]) if (key.startsWith("llama.")) k.set(key.replace("llama.", "qwen3."), value);
        k.set("general.architecture", text("qwen3"));
      },
    };
    const found = await check(await again(edit), { original: model });
    expect(JSON.stringify(found.findings)).toMatch(/Architecture: qwen3; in the original: llama/);
  });
});
