import { toF16Words } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { layoutFile, specBytes, type TensorSpec } from "../../src/io/writer";
import { embeddingName, finalNormName, headName, layerName, layerShape, normNames } from "../../src/model/layers";
import { mulberry32 } from "../../src/model/random";
import { parseSpec } from "../../src/model/spec";
import { layerKinds } from "../../src/recipe/recipe";

/** config.json of a model small enough for float64 in a test, with sizes that no tile divides. */
export const tinyConfig = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  vocab_size: 50,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: false,
  torch_dtype: "float16",
};

export type Tensors = Map<string, { spec: TensorSpec; bytes: Uint8Array }>;

/** Random f16 weights for a config, by tensor name. */
export function tinyTensors(config: Record<string, unknown> = tinyConfig, seed = 1): Tensors {
  const spec = parseSpec(config);
  const next = mulberry32(seed);
  const tensors: Tensors = new Map();
  const add = (name: string, shape: number[], value: () => number) => {
    const words = toF16Words(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value));
    tensors.set(name, { spec: { name, dtype: "F16", shape }, bytes: new Uint8Array(words.buffer) });
  };
  const random = (scale: number) => () => scale * (next() / 2 ** 31 - 1);
  add(embeddingName, [spec.vocabulary, spec.hidden], random(1));
  for (let m = 0; m < spec.blocks; m++) {
    const { input, postAttention, q, k } = normNames(m);
    for (const name of [input, postAttention]) add(name, [spec.hidden], () => 1 + random(0.1)());
    if (spec.qkNorm) for (const name of [q, k]) add(name, [spec.headDim], () => 1 + random(0.1)());
    for (const kind of layerKinds)
      add(`${layerName(m, kind)}.weight`, layerShape(spec, kind), random(2 / Math.sqrt(layerShape(spec, kind)[1])));
  }
  add(finalNormName, [spec.hidden], () => 1);
  if (!spec.tied) add(headName, [spec.vocabulary, spec.hidden], random(0.5));
  return tensors;
}

/** One safetensors file of them. */
export function safetensors(tensors: Tensors): Uint8Array {
  const list = [...tensors.values()];
  const { header, size } = layoutFile(list.map((t) => t.spec));
  const out = new Uint8Array(size);
  out.set(header);
  let at = header.length;
  for (const { spec, bytes } of list) {
    out.set(bytes, at);
    at += specBytes(spec);
  }
  return out;
}

/** A checkpoint in memory: the config and one shard. */
export function tinySource(config: Record<string, unknown> = tinyConfig, tensors = tinyTensors(config)): Source {
  return memorySource("tiny", [bytesFile("config.json", JSON.stringify(config)), bytesFile("model.safetensors", safetensors(tensors))]);
}

/** Random ids in windows. */
export function tinyTokens(windows = 3, length = 10, vocabulary = tinyConfig.vocab_size) {
  const next = mulberry32(7);
  return { windows, length, ids: Int32Array.from({ length: windows * length }, () => next() % vocabulary) };
}
