/** GGUF files open to be measured: with the weights that the run has, or llama.cpp, and the tokenizer's ids. */
import { describe, expect, test } from "vitest";
import { gguf } from "../../src/export/containers/gguf";
import { metadataOf } from "../../src/export/gguf/metadata";
import { f32, type Metadata, text, u32 } from "../../src/export/gguf/metadata-values";
import { readGguf } from "../../src/export/gguf/reader";
import type { GgmlType } from "../../src/export/gguf/types";
import { toF16Words, toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { type Model, openModel, runnable } from "../../src/model/checkpoint";
import { summarize } from "../../src/model/summary";
import { openTokenizer } from "../../src/model/tokenizer";
import { createCpuOps } from "../../src/ops/cpu";
import { restoreLayer } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { tokenizerOf } from "../../src/reopen/gguf/tokenizer";
import { openAny } from "../../src/reopen/open";
import { evaluate, evaluateAgainst } from "../support/engine";
import { blockSource, exportOf } from "../support/gguf";
import { recipeWith } from "../support/recipe";
import { type Tensors, tinyTokens } from "../support/tiny";

const ops = createCpuOps();
const tokens = tinyTokens(3, 10, 1024);
const quiet = { emit: () => {} };
const sourceOf = (files: ReadonlyMap<string, Uint8Array>): Source =>
  memorySource(
    "made",
    [...files].filter(([name]) => name.endsWith(".gguf")).map(([name, bytes]) => bytesFile(name, bytes)),
  );
const reopened = async (files: ReadonlyMap<string, Uint8Array>): Promise<Model> => runnable(await openAny(sourceOf(files)));

async function weightOf({ shards }: Model, name: string): Promise<Float32Array> {
  return toFloats(await shards.readTensor(name), shards.tensors.get(name)!.dtype);
}

const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };
const qwen = (kind: "2" | "3") => ({ architectures: [`Qwen${kind}ForCausalLM`], model_type: `qwen${kind}` });

describe("an export has the run's weights, and is what the run measured", () => {
  test.each<[string, Partial<Recipe>, object]>([
    ["llama, its rows interleaved, in Q4_0", { bits: 4, groupSize: 32 }, {}],
    ["in Q2_0, two blocks", { bits: 2, groupSize: 64 }, { num_hidden_layers: 2 }],
    [
      "K types, embeddings too, tied",
      { type: "Q4_K_M", method: "rtn" },
      { hidden_size: 256, intermediate_size: 256, tie_word_embeddings: true },
    ],
    ["Llama 3's rope", { bits: 4, groupSize: 32 }, { rope_scaling: llama3 }],
    ["linear rope", { bits: 4, groupSize: 32 }, { rope_scaling: { rope_type: "linear", factor: 2 } }],
    [
      "YaRN",
      { bits: 4, groupSize: 32 },
      { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16, attention_factor: 1.3 } },
    ],
    ["Qwen 3, norms of q and k", { bits: 8, groupSize: 32 }, qwen("3")],
    ["a block that stays floats", { bits: 4, groupSize: 32, blocks: 1 }, { num_hidden_layers: 2 }],
    ["in parts", { bits: 4, groupSize: 32, splitSize: 1 }, { vocab_size: 4096 }],
  ])("%s", async (_, change, config) => {
    const { model, plan, quantized, files } = await exportOf(blockSource(config), change);
    const again = await reopened(files);
    for (const { name } of plan.layers) {
      const layer = (await quantized.layer(name))!;
      const [W] = await ops.read([restoreLayer(ops, layer)]);
      const read = await weightOf(again, `${name}.weight`);
      // Two products and a difference, in f32 here.
      const off = Math.max(...W.map((w, i) => Math.abs(w - read[i]))) / Math.max(...W.map(Math.abs));
      expect(off, name).toBeLessThan("type" in change ? 2 ** -22 : 2 ** -24);
    }
    const run = await evaluate({ ops, model, tokens, ...quiet }, quantized);
    const beside = await evaluateAgainst({ ops, model: again, tokens, ...quiet }, model);
    expect(beside.perplexityBefore / run.perplexityBefore).toBeCloseTo(1, 9);
    // What the run leaves in f16 the file has in f16 too, or in f32.
    expect(beside.perplexity / run.perplexity).toBeCloseTo(1, 6);
    expect(beside.divergence.kl.mean / run.divergence.kl.mean).toBeCloseTo(1, 4);
    for (const [m, { delta }] of run.blocks.entries()) expect(beside.blocks![m].delta / delta).toBeCloseTo(1, 4);
  });

  test("biases of q and k have the rows' order", async () => {
    const names = ["q_proj", "k_proj", "v_proj", "o_proj"].map((kind) => `model.layers.0.self_attn.${kind}.bias`);
    const withBiases = (tensors: Tensors) => {
      for (const [i, name] of names.entries()) {
        const shape = [i === 1 || i === 2 ? 64 : 128];
        const bytes = new Uint8Array(toF16Words(Float32Array.from({ length: shape[0] }, (_, row) => row / 64 - i)).buffer);
        tensors.set(name, { spec: { name, dtype: "F16", shape }, bytes });
      }
    };
    const { model, files } = await exportOf(blockSource({ attention_bias: true }, {}, withBiases), { bits: 4, groupSize: 32 });
    const again = await reopened(files);
    for (const name of names) expect([...(await weightOf(again, name))], name).toEqual([...(await weightOf(model, name))]);
  });
});

test("its facts are those of the file; it can be measured, and not quantized again", async () => {
  const { files } = await exportOf(blockSource(), { bits: 4, groupSize: 32 });
  const again = await reopened(files);
  const [bytes] = [...files].filter(([name]) => name.endsWith(".gguf")).map(([, content]) => content.length);
  expect(summarize(again)).toMatchObject({ packing: "GGUF F16, Q4_0, F32", bytes, files: 1, hasTokenizer: true, warnings: [] });
  expect(() => resolve(recipeWith({}), again)).toThrow("GGUF F16, Q4_0, F32");
});

test("texts become the tokenizer's ids", async () => {
  const source = blockSource();
  const { files } = await exportOf(source, { bits: 4, groupSize: 32 });
  const [own, again] = [await openTokenizer(source), await openTokenizer((await reopened(files)).source)];
  for (const words of ["Once upon a time, there was a girl.", "  2 spaces, 12 345 ½", "naïve 中文 😀\n\ttab", "<s>"])
    expect(await again.encode(words)).toEqual(await own.encode(words));
});

test.each<[string, Record<string, string>, boolean]>([
  ["cuts as Llama 3 does", { model: "gpt2", pre: "llama-bpe" }, true],
  ["cuts as GPT-2 does", { model: "gpt2", pre: "gpt-2" }, false],
  ["is SentencePiece's", { model: "llama" }, true],
])("where no key says whether a text begins with BOS, it is as in llama.cpp: the tokenizer %s", (_, kind, begins) => {
  const own = { ...kind, tokens: ["<s>", "a"], scores: [0, 0], token_type: [3, 1], merges: [], bos_token_id: 0 };
  const keys = new Map(Object.entries(own).map(([name, value]) => [`tokenizer.ggml.${name}`, value]));
  expect(tokenizerOf(keys)?.tokenizer.post_processor !== null).toBe(begins);
});

describe("what cannot be opened is named", () => {
  const made = async (edit: { keys?: (k: Map<string, unknown>) => void; drop?: string; split?: number }) => {
    const source = blockSource({ num_hidden_layers: 1 });
    const { files } = await exportOf(source, { bits: 4, groupSize: 32 });
    const model = await openModel(source);
    const [name, bytes] = [...files].find(([n]) => n.endsWith(".gguf"))!;
    const { tensors } = await readGguf(bytesFile(name, bytes));
    const keys = new Map<string, unknown>(await metadataOf(model, model.spec!, "m", "Q4_0"));
    edit.keys?.(keys);
    const kept = tensors.filter((tensor) => tensor.name !== edit.drop);
    const sink = memorySink();
    const entries = kept.map(({ name: tensor, type, shape }) => ({ name: tensor, dtype: type as GgmlType, shape }));
    const writer = gguf("m.gguf", keys as Metadata, edit.split)
      .layout(entries)
      .writer(sink);
    for (const { name: tensor, start, end } of kept) await writer.write(tensor, bytes.slice(start, end));
    await writer.end();
    return sink.files;
  };

  test.each<[string, Parameters<typeof made>[0]]>([
    ["general.architecture is gemma3", { keys: (k) => k.set("general.architecture", text("gemma3")) }],
    ["general.architecture is __proto__", { keys: (k) => k.set("general.architecture", text("__proto__")) }],
    ["the key llama.feed_forward_length is missing", { keys: (k) => k.delete("llama.feed_forward_length") }],
    ["its keys tell of 4000000 blocks", { keys: (k) => k.set("llama.block_count", u32(4_000_000)) }],
    ["its keys give 0 for heads", { keys: (k) => k.set("llama.attention.head_count", u32(0)) }],
    ["its keys give 4 heads of 32, 3 of keys", { keys: (k) => k.set("llama.attention.head_count_kv", u32(3)) }],
    ["16 of 32 dimensions are rotated", { keys: (k) => k.set("llama.rope.dimension_count", u32(16)) }],
    ["rope scaling of type longrope", { keys: (k) => k.set("llama.rope.scaling.type", text("longrope")) }],
    [
      "llama.rope.scaling.factor is no number above 0",
      { keys: (k) => k.set("llama.rope.scaling.type", text("linear")).set("llama.rope.scaling.factor", f32(-1)) },
    ],
    ["blk.0.ffn_up.weight", { drop: "blk.0.ffn_up.weight" }],
    ["is 128 × 128, but its keys and LlamaForCausalLM imply 96 × 128", { keys: (k) => k.set("llama.feed_forward_length", u32(96)) }],
  ])("%s", async (words, edit) => {
    const files = await made(edit);
    await expect(openAny(sourceOf(files))).rejects.toThrow(words);
  });

  test("a part that is not there", async () => {
    const files = await made({ split: 200_000 });
    expect(files.size).toBeGreaterThan(1);
    files.delete([...files.keys()].at(-1)!);
    await expect(openAny(sourceOf(files))).rejects.toThrow("-of-");
  });

  test("a type that is not unpacked", async () => {
    const files = await made({});
    const bytes = files.get("m.gguf")!;
    // Q8_0 and F16 are other lengths; Q4_0 and IQ4_NL have the same blocks.
    const at = Buffer.from(bytes).indexOf("blk.0.ffn_up.weight") + "blk.0.ffn_up.weight".length;
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 4 + 2 * 8, 20, true);
    await expect(openAny(sourceOf(files))).rejects.toThrow("blk.0.ffn_up.weight in m.gguf is IQ4_NL");
  });

  test("a file that is cut off", async () => {
    const files = await made({});
    files.set("m.gguf", files.get("m.gguf")!.slice(0, 5000));
    await expect(openAny(sourceOf(files))).rejects.toThrow("m.gguf");
  });
});
