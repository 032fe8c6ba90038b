/** Where the tensors of the source go: llama.cpp's names and order of rows. */
import { embeddingName, finalNormName, headName, layerName, layerShape, normNames } from "../../model/layers";
import type { ModelSpec } from "../../model/spec";
import { type LayerKind, layerKinds } from "../../recipe/recipe";
import { architectureOf } from "./architectures";

/** A tensor of the source, and where it goes. */
export interface Place {
  readonly name: string;
  readonly source: string;
  readonly shape: readonly number[];
  /** The dimension of the heads whose rows are interleaved. */
  readonly headDim?: number;
}

/** llama.cpp's names of a block's linear layers. */
export const layerNames: Readonly<Record<LayerKind, string>> = {
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
};

/** Every tensor of the network, block after block. */
export function placesOf(spec: ModelSpec): Place[] {
  const { hidden, headDim, vocabulary } = spec;
  const places: Place[] = [{ name: "token_embd.weight", source: embeddingName, shape: [vocabulary, hidden] }];
  for (let m = 0; m < spec.blocks; m++) {
    const at = (name: string) => `blk.${m}.${name}`;
    const { input, postAttention, q, k } = normNames(m);
    places.push({ name: at("attn_norm.weight"), source: input, shape: [hidden] });
    if (spec.qkNorm)
      places.push(
        { name: at("attn_q_norm.weight"), source: q, shape: [headDim] },
        { name: at("attn_k_norm.weight"), source: k, shape: [headDim] },
      );
    for (const kind of layerKinds) {
      if (kind === "gate_proj") places.push({ name: at("ffn_norm.weight"), source: postAttention, shape: [hidden] });
      places.push(...layerPlaces(spec, m, kind, at(layerNames[kind])));
    }
  }
  places.push({ name: "output_norm.weight", source: finalNormName, shape: [hidden] });
  // Without an output matrix llama.cpp takes the embeddings.
  if (!spec.tied) places.push({ name: "output.weight", source: headName, shape: [vocabulary, hidden] });
  return places;
}

function layerPlaces(spec: ModelSpec, block: number, kind: LayerKind, name: string): Place[] {
  const turned = architectureOf(spec).interleaves && (kind === "q_proj" || kind === "k_proj");
  const order = turned ? { headDim: spec.headDim } : {};
  const source = layerName(block, kind);
  const shape = layerShape(spec, kind);
  const weight = { name: `${name}.weight`, source: `${source}.weight`, shape, ...order };
  return spec.biases.has(kind)
    ? [weight, { name: `${name}.bias`, source: `${source}.bias`, shape: shape.slice(0, 1), ...order }]
    : [weight];
}
