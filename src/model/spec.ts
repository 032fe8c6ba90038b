import { QuantError } from "../errors";
import type { LayerKind } from "../recipe/recipe";
import { biasedKinds, familyOf, flag, slidingWindows } from "./families";
import { type Packing, parsePacking } from "./packing";
import { type RopeScaling, ropeOf } from "./rope-settings";

/** The shape of a model, from config.json; everything the forward pass needs besides tensors. */
export interface ModelSpec {
  architecture: string;
  blocks: number;
  hidden: number;
  intermediate: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  vocabulary: number;
  eps: number;
  tied: boolean;
  ropeTheta: number;
  ropeScaling: RopeScaling;
  /** The attention window of each block, in tokens; 0: full attention. */
  slidingWindows: readonly number[];
  /** The layers that have a bias. */
  biases: ReadonlySet<LayerKind>;
  maxPositions: number;
  /** Queries and keys are normalised head by head before they are rotated. */
  qkNorm: boolean;
  /** How the linear layers are packed; null: they are floats. */
  packing: Packing | null;
}

type Json = Record<string, unknown>;

/** No model has so many; an untrusted file may say so, and something is made for each. */
export const mostBlocks = 10_000;

const where = (field: string, detail: string) =>
  new QuantError("bad-config", `config.json: ${field} ${detail}`, "Check that this is the model's own config.json.");

function count(config: Json, field: string, fallback?: number): number {
  const value = config[field] ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1 || value > 2 ** 31)
    throw where(field, value === undefined ? "is missing" : "is not a positive whole number");
  return value;
}

function positive(config: Json, field: string, fallback: number): number {
  const value = config[field] ?? fallback;
  if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) throw where(field, "is not a positive number");
  return value;
}

/**
 * Reads an untrusted config.json.
 * @throws QuantError `unsupported-architecture`, or `bad-config` naming the field.
 */
export function parseSpec(input: unknown): ModelSpec {
  if (typeof input !== "object" || input === null || Array.isArray(input))
    throw new QuantError("bad-config", "config.json is not a JSON object");
  const config = input as Json;
  const family = familyOf(config);
  const { defaults } = family;
  if (typeof config.hidden_act === "string" && !["silu", "swish"].includes(config.hidden_act))
    throw new QuantError(
      "unsupported-architecture",
      `hidden_act is ${config.hidden_act.slice(0, 40)}`,
      "Only models with the SiLU activation can be run.",
    );
  const blocks = count(config, "num_hidden_layers");
  if (blocks > mostBlocks) throw where("num_hidden_layers", `is ${blocks}, more than the ${mostBlocks} that are possible here`);
  const maxPositions = count(config, "max_position_embeddings", defaults.max_position_embeddings as number);
  const spec: ModelSpec = {
    architecture: family.architecture,
    blocks,
    hidden: count(config, "hidden_size"),
    intermediate: count(config, "intermediate_size"),
    heads: count(config, "num_attention_heads"),
    kvHeads: count(config, "num_key_value_heads", kvHeadsOf(config, defaults)),
    headDim: 0,
    vocabulary: count(config, "vocab_size"),
    eps: positive(config, "rms_norm_eps", 1e-6),
    tied: flag(config, "tie_word_embeddings"),
    ...ropeOf(config, maxPositions),
    slidingWindows: slidingWindows(config, family, blocks),
    biases: biasedKinds(config, family),
    maxPositions,
    qkNorm: family.qkNorm ?? false,
    packing: parsePacking(config),
  };
  const headDim = config.head_dim ?? defaults.head_dim;
  if (headDim === undefined) requireDivides(spec.heads, spec.hidden, "num_attention_heads", "hidden_size");
  spec.headDim = count({ head_dim: headDim }, "head_dim", spec.hidden / spec.heads);
  requireDivides(spec.kvHeads, spec.heads, "num_key_value_heads", "num_attention_heads");
  if (spec.headDim % 2) throw where("head_dim", `is ${spec.headDim}, an odd number, which rotary embeddings cannot halve`);
  return spec;
}

/** Where config.json has null, as many as query heads; where it has nothing, the family's default, or else as many as query heads. */
const kvHeadsOf = (config: Json, defaults: Json): number =>
  (config.num_key_value_heads === null ? undefined : (defaults.num_key_value_heads as number)) ?? (config.num_attention_heads as number);

function requireDivides(divisor: number, value: number, divisorName: string, name: string): void {
  if (value % divisor) throw where(divisorName, `(${divisor}) does not divide ${name} (${value})`);
}
