/** A GGUF file's keys of the network as a spec. */
import type { ReadValue } from "../../export/gguf/header-reader";
import { layerNames } from "../../export/gguf/places";
import type { ModelSpec } from "../../model/spec";
import { type LayerKind, layerKinds } from "../../recipe/recipe";

export type Keys = ReadonlyMap<string, ReadValue>;
/** Shapes by name, [out, in]. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** The architectures whose tensors are known here, by their class in transformers. */
export const architectures: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/** The layers that always have a bias, by architecture: llama.cpp loads a file without them all the same, and computes another model. */
const alwaysBiased: Readonly<Record<string, readonly LayerKind[]>> = { qwen2: ["q_proj", "k_proj", "v_proj"] };

/** Keys without which no spec can be made, after the architecture's name. */
export const neededKeys = [
  "block_count",
  "context_length",
  "embedding_length",
  "feed_forward_length",
  "attention.head_count",
  "attention.layer_norm_rms_epsilon",
];
export const vocabularyTensor = "token_embd.weight";

/** @param id of the architecture, one of `architectures`. Rope scaling and windows are not in it. */
export function specOf(id: string, keys: Keys, shapes: Shapes): ModelSpec {
  const number = (key: string, otherwise: number) => {
    const value = keys.get(`${id}.${key}`);
    return typeof value === "number" ? value : otherwise;
  };
  const [hidden, heads] = [number("embedding_length", 0), number("attention.head_count", 1)];
  const isBiased = (kind: LayerKind) => alwaysBiased[id]?.includes(kind) || shapes.has(`blk.0.${layerNames[kind]}.bias`);
  return {
    architecture: architectures[id],
    blocks: number("block_count", 0),
    hidden,
    intermediate: number("feed_forward_length", 0),
    heads,
    kvHeads: number("attention.head_count_kv", heads),
    headDim: number("attention.key_length", hidden / heads),
    vocabulary: shapes.get(vocabularyTensor)?.[0] ?? number("vocab_size", 0),
    eps: number("attention.layer_norm_rms_epsilon", 0),
    tied: !shapes.has("output.weight"),
    ropeTheta: number("rope.freq_base", 10_000),
    ropeScaling: { kind: "default" },
    slidingWindows: [],
    biases: new Set(layerKinds.filter(isBiased)),
    maxPositions: number("context_length", 0),
    qkNorm: id === "qwen3",
    packing: null,
  };
}
