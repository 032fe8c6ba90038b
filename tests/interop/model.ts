/** Small models for the clients: random weights, as many key heads as query heads, tied embeddings; Llama's kind, or Qwen's. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toF16Words } from "../../src/io/dtype";
import { embeddingName, finalNormName, layerName, layerShape, normNames } from "../../src/model/layers";
import { mulberry32 } from "../../src/model/random";
import { parseSpec } from "../../src/model/spec";
import { layerKinds } from "../../src/recipe/recipe";
import { safetensors, type Tensors, tinyConfig, tinyTokens } from "../support/tiny";

/** Sizes are multiples of 32, because a word holds 32 codes of 3 bits with two others. */
export interface Size {
  hidden: number;
  intermediate: number;
  heads: number;
  /** Qwen2 has biases, Qwen3 norms for queries and keys. */
  family?: keyof typeof architectures;
  /** Fields of config.json in place of the usual ones; undefined leaves one out. */
  config?: Record<string, unknown>;
}

const architectures = { llama: "LlamaForCausalLM", qwen2: "Qwen2ForCausalLM", qwen3: "Qwen3ForCausalLM" };

const vocabulary = 128;

/** One word a token. GPTQModel loads no checkpoint without a tokenizer. */
const tokenizer = {
  version: "1.0",
  added_tokens: [],
  pre_tokenizer: { type: "Whitespace" },
  model: {
    type: "WordLevel",
    vocab: Object.fromEntries(Array.from({ length: vocabulary }, (_, id) => [id === 0 ? "<unk>" : `t${id}`, id])),
    unk_token: "<unk>",
  },
};

/** Writes config.json, model.safetensors, a tokenizer and tokens.npy into a new folder. */
export function makeModel(folder: string, { hidden, intermediate, heads, family = "llama", config: change }: Size): void {
  const config = {
    ...tinyConfig,
    architectures: [architectures[family]],
    model_type: family,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: 2,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    head_dim: hidden / heads,
    vocab_size: vocabulary,
    tie_word_embeddings: true,
    // Else GPTQModel pads with the token of that number in Qwen's own vocabulary.
    pad_token_id: 0,
    ...change,
  };
  mkdirSync(folder);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeFileSync(join(folder, "model.safetensors"), safetensors(randomTensors(config)));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast", unk_token: "<unk>" }));
  const { windows, length, ids } = tinyTokens(4, 48, vocabulary);
  writeFileSync(join(folder, "tokens.npy"), npy(ids, [windows, length]));
}

function randomTensors(config: Record<string, unknown>): Tensors {
  const spec = parseSpec(config);
  const next = mulberry32(1);
  const tensors: Tensors = new Map();
  const add = (name: string, shape: readonly number[], middle: number, scale: number) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Float64Array.from({ length: count }, () => middle + scale * (next() / 2 ** 31 - 1));
    tensors.set(name, { spec: { name, dtype: "F16", shape }, bytes: new Uint8Array(toF16Words(values).buffer) });
  };
  add(embeddingName, [spec.vocabulary, spec.hidden], 0, 1);
  for (let m = 0; m < spec.blocks; m++) {
    const { input, postAttention, q, k } = normNames(m);
    for (const name of [input, postAttention]) add(name, [spec.hidden], 1, 0.1);
    if (spec.qkNorm) for (const name of [q, k]) add(name, [spec.headDim], 1, 0.1);
    for (const kind of layerKinds) {
      const shape = layerShape(spec, kind);
      add(`${layerName(m, kind)}.weight`, shape, 0, 2 / Math.sqrt(shape[1]));
      if (config.model_type === "qwen2" && /^[qkv]_/.test(kind)) add(`${layerName(m, kind)}.bias`, [shape[0]], 0, 0.5);
    }
  }
  // Small, or the logits of such a model, and its perplexity with them, would be out of all proportion.
  add(finalNormName, [spec.hidden], 0.2, 0.02);
  return tensors;
}

/** A .npy file, version 1.0, of int32. */
export function npy(ids: Int32Array, shape: number[]): Uint8Array {
  const header = `{'descr': '<i4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`.padEnd(117).concat("\n");
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.from([header.length, 0]),
    Buffer.from(header),
    Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength),
  ]);
}
