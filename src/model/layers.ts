import type { LayerKind } from "../recipe/recipe";
import type { ModelSpec } from "./spec";

/** A stage: linear layers of a block that share an input. In the order in which a block computes them. */
export type StageId = "qkv" | "o" | "gate_up" | "down";

export interface Stage {
  readonly id: StageId;
  readonly kinds: readonly LayerKind[];
}

/** The four stages of a block. */
export const stages: readonly Stage[] = [
  { id: "qkv", kinds: ["q_proj", "k_proj", "v_proj"] },
  { id: "o", kinds: ["o_proj"] },
  { id: "gate_up", kinds: ["gate_proj", "up_proj"] },
  { id: "down", kinds: ["down_proj"] },
];

const module: Record<LayerKind, string> = {
  q_proj: "self_attn",
  k_proj: "self_attn",
  v_proj: "self_attn",
  o_proj: "self_attn",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "mlp",
};

/** Hugging Face's name of a layer, without ".weight". */
export const layerName = (block: number, kind: LayerKind): string => `model.layers.${block}.${module[kind]}.${kind}`;

export const embeddingName = "model.embed_tokens.weight";
export const finalNormName = "model.norm.weight";
export const headName = "lm_head.weight";
/** Full tensor names of a block's norms. */
export const normNames = (block: number) => ({
  input: `model.layers.${block}.input_layernorm.weight`,
  postAttention: `model.layers.${block}.post_attention_layernorm.weight`,
  /** q and k: only in architectures that normalise queries and keys. */
  q: `model.layers.${block}.self_attn.q_norm.weight`,
  k: `model.layers.${block}.self_attn.k_norm.weight`,
});

/** A linear layer that can be quantized. */
export interface LinearLayer {
  /** Without ".weight". */
  readonly name: string;
  /** One of `layerKinds`, where the architecture is known. */
  readonly kind: string;
  readonly block: number;
  /** [out, in] */
  readonly shape: readonly [number, number];
}

/** [out, in] of a layer. */
export function layerShape(spec: ModelSpec, kind: LayerKind): [number, number] {
  const { hidden, intermediate, heads, kvHeads, headDim } = spec;
  switch (kind) {
    case "q_proj":
      return [heads * headDim, hidden];
    case "k_proj":
    case "v_proj":
      return [kvHeads * headDim, hidden];
    case "o_proj":
      return [hidden, heads * headDim];
    case "gate_proj":
    case "up_proj":
      return [intermediate, hidden];
    case "down_proj":
      return [hidden, intermediate];
  }
}

/** Columns of a stage's input. */
export const stageInputs = (spec: ModelSpec, stage: Stage): number => layerShape(spec, stage.kinds[0])[1];
