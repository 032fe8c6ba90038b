import { QuantError } from "../errors";

/** Frequency scaling of the rotary embedding (config.json's rope_parameters or rope_scaling). */
export type RopeScaling =
  | { kind: "default" }
  | { kind: "linear"; factor: number }
  | { kind: "llama3"; factor: number; lowFrequency: number; highFrequency: number; originalPositions: number };

interface Position {
  ropeTheta: number;
  ropeScaling: RopeScaling;
  slidingWindow: number;
}

/** One family: what differs from the common Llama block. A new family is one entry here. */
interface Architecture {
  title: string;
  /** Queries and keys are normalised head by head before they are rotated (Qwen3). */
  qkNorm?: boolean;
  position(config: Record<string, unknown>): Position;
}

export const architectures: Record<string, Architecture> = {
  LlamaForCausalLM: { title: "Llama", position: (c) => ({ ...rope(c), slidingWindow: 0 }) },
  Qwen2ForCausalLM: { title: "Qwen2", position: (c) => ({ ...rope(c), slidingWindow: fullAttention(c) }) },
  Qwen3ForCausalLM: { title: "Qwen3", qkNorm: true, position: (c) => ({ ...rope(c), slidingWindow: fullAttention(c) }) },
  MistralForCausalLM: {
    title: "Mistral",
    position: (c) => ({ ...rope(c), slidingWindow: typeof c.sliding_window === "number" ? c.sliding_window : 0 }),
  },
};

/** Qwen's sliding window is off unless use_sliding_window says otherwise; then its layers differ, which is not supported. */
function fullAttention(config: Record<string, unknown>): number {
  if (config.use_sliding_window === true)
    throw new QuantError(
      "unsupported-architecture",
      "use_sliding_window is on",
      "Only checkpoints with full attention in every layer can be run.",
    );
  return 0;
}

export function supported(): string {
  return Object.values(architectures)
    .map((a) => a.title)
    .join(", ")
    .concat(" models");
}

/** rope_theta and scaling, where transformers 5 (rope_parameters) and 4 (rope_theta, rope_scaling) keep them. */
function rope(config: Record<string, unknown>): { ropeTheta: number; ropeScaling: RopeScaling } {
  const nested = (config.rope_parameters ?? config.rope_scaling ?? {}) as Record<string, unknown>;
  const theta = nested.rope_theta ?? config.rope_theta ?? 10_000;
  if (typeof theta !== "number" || !(theta > 0)) throw new QuantError("bad-config", "config.json: rope_theta is not a positive number");
  const kind = nested.rope_type ?? nested.type ?? "default";
  const number = (field: string): number => {
    const value = nested[field];
    if (typeof value !== "number" || !(value > 0))
      throw new QuantError("bad-config", `config.json: rope scaling's ${field} is not a positive number`);
    return value;
  };
  if (kind === "default") return { ropeTheta: theta, ropeScaling: { kind } };
  if (kind === "linear") return { ropeTheta: theta, ropeScaling: { kind, factor: number("factor") } };
  if (kind === "llama3")
    return {
      ropeTheta: theta,
      ropeScaling: {
        kind,
        factor: number("factor"),
        lowFrequency: number("low_freq_factor"),
        highFrequency: number("high_freq_factor"),
        originalPositions: number("original_max_position_embeddings"),
      },
    };
  throw new QuantError(
    "unsupported-architecture",
    `rope type ${String(kind).slice(0, 40)}`,
    "Rope types default, linear and llama3 can be run.",
  );
}
