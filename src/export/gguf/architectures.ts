/** What llama.cpp calls the families that it can run, and what it does not do as they do. */
import { QuantError } from "../../errors";
import { yarnMagnitude } from "../../model/rope-settings";
import type { ModelSpec } from "../../model/spec";
import type { LayerKind } from "../../recipe/recipe";
import { f32, type Metadata, text, u32, type Value } from "./metadata-values";

export interface Architecture {
  /** `general.architecture`, and the beginning of its keys. */
  readonly id: string;
  /** Its rotary embedding turns neighbouring rows of q and k, not the halves of a head. */
  readonly interleaves: boolean;
  /** It reads rope_freqs, which Llama 3's scaling needs. */
  readonly hasRopeDivisors: boolean;
  /** The layers that it reads a bias of. */
  readonly biases: readonly LayerKind[];
}

const all: readonly LayerKind[] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const llama: Architecture = { id: "llama", interleaves: true, hasRopeDivisors: true, biases: all };

/** By the architecture of a spec (model/families.ts). */
const architectures: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: llama,
  MistralForCausalLM: llama,
  MinistralForCausalLM: llama,
  Qwen2ForCausalLM: { id: "qwen2", interleaves: false, hasRopeDivisors: false, biases: ["q_proj", "k_proj", "v_proj"] },
  Qwen3ForCausalLM: { id: "qwen3", interleaves: false, hasRopeDivisors: false, biases: [] },
};

const refused = (what: string) => new QuantError("bad-format", what, "Use the dense format.");

/** @throws QuantError `bad-format` for what llama.cpp would compute differently, or has no place for. */
export function architectureOf(spec: ModelSpec): Architecture {
  const found = Object.hasOwn(architectures, spec.architecture) ? architectures[spec.architecture] : undefined;
  if (!found) throw refused(`llama.cpp's name for ${spec.architecture} is not known here`);
  const bias = [...spec.biases].find((kind) => !found.biases.includes(kind));
  if (bias) throw refused(`llama.cpp's ${found.id} has no place for the bias of ${bias}`);
  const { ropeScaling: rope } = spec;
  if (rope.kind === "llama3" && !found.hasRopeDivisors) throw refused(`llama.cpp's ${found.id} has no rope scaling of type llama3`);
  // It has keys for the two betas, and reads them in other architectures only.
  if (rope.kind === "yarn" && !(rope.truncate && rope.betaFast === 32 && rope.betaSlow === 1))
    throw refused(`llama.cpp's ${found.id} has no YaRN but that with beta_fast 32, beta_slow 1 and truncate true`);
  return found;
}

/** The positions up to which llama.cpp computes what the model computes: it attends to everything where the model's window ends. */
const contextOf = ({ maxPositions, slidingWindows }: ModelSpec): number =>
  slidingWindows.reduce((least, window) => (window ? Math.min(least, window) : least), maxPositions);

/** The keys that describe the network. */
export function networkKeys(spec: ModelSpec): Metadata {
  const { id } = architectureOf(spec);
  const keys: Record<string, Value> = {
    block_count: u32(spec.blocks),
    context_length: u32(contextOf(spec)),
    embedding_length: u32(spec.hidden),
    feed_forward_length: u32(spec.intermediate),
    "attention.head_count": u32(spec.heads),
    "attention.head_count_kv": u32(spec.kvHeads),
    "attention.key_length": u32(spec.headDim),
    "attention.value_length": u32(spec.headDim),
    "attention.layer_norm_rms_epsilon": f32(spec.eps),
    "rope.dimension_count": u32(spec.headDim),
    "rope.freq_base": f32(spec.ropeTheta),
    vocab_size: u32(spec.vocabulary),
    ...ropeKeys(spec),
  };
  return new Map(Object.entries(keys).map(([key, value]) => [`${id}.${key}`, value]));
}

/** Llama 3's scaling is a tensor, and dynamic scaling changes nothing up to the trained length. */
function ropeKeys({ ropeScaling: rope }: ModelSpec): Record<string, Value> {
  if (rope.kind === "linear") return { "rope.scaling.type": text("linear"), "rope.scaling.factor": f32(rope.factor) };
  if (rope.kind !== "yarn") return {};
  return {
    "rope.scaling.type": text("yarn"),
    "rope.scaling.factor": f32(rope.factor),
    "rope.scaling.original_context_length": u32(rope.originalPositions),
    // llama.cpp multiplies by the usual magnitude besides.
    "rope.scaling.attn_factor": f32(rope.attentionFactor / yarnMagnitude(rope.factor)),
  };
}

/** Sentences about where llama.cpp ends sooner than the model. */
export function networkNotes(spec: ModelSpec): string[] {
  const notes = [];
  const context = contextOf(spec);
  if (context < spec.maxPositions)
    notes.push(
      `llama.cpp has no sliding window for this architecture and attends to everything, which is the same up to ${context} tokens: that is the context length that the file names.`,
    );
  if (spec.ropeScaling.kind === "dynamic")
    notes.push(
      `llama.cpp has no dynamic rope scaling: the file is for contexts of up to ${spec.maxPositions} tokens, where it changes nothing.`,
    );
  return notes;
}
