import { QuantError } from "../errors";
import { shown } from "../io/text";
import { type LayerKind, layerKinds } from "../recipe/recipe";

type Json = Record<string, unknown>;

/** One family: how it differs from the common Llama block, and the defaults of its transformers config class. A new family is one entry. */
export interface Family {
  title: string;
  architecture: string;
  defaults: Json;
  /** Queries and keys are normalised head by head before they are rotated (Qwen3). */
  qkNorm?: boolean;
  /** The layers that have a bias. Others' biases are ignored, as transformers ignores them. */
  biases(config: Json): readonly LayerKind[];
  /** Which blocks have a sliding window where `layer_types` is missing: none, all, or those from `max_window_layers` on. "never" ignores `layer_types`. */
  sliding: "never" | "always" | "later";
}

const attention: readonly LayerKind[] = ["q_proj", "k_proj", "v_proj", "o_proj"];
const mlp: readonly LayerKind[] = ["gate_proj", "up_proj", "down_proj"];
const attentionBias = (config: Json) => (flag(config, "attention_bias") ? attention : []);

/** A true-or-false field of config.json, false where it is missing. @throws QuantError `bad-config` for anything else, such as 1, which Python takes for true. */
export function flag(config: Json, field: string): boolean {
  const value = config[field] ?? false;
  if (typeof value !== "boolean")
    throw new QuantError("bad-config", `config.json: ${field} is neither true nor false`, `Set ${field} to true or false.`);
  return value;
}

const mistral = { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 };
const qwen = { num_key_value_heads: 32, max_position_embeddings: 32_768, sliding_window: 4096, max_window_layers: 28 };

/** By model_type, which is how transformers chooses a class too. */
const families: Record<string, Family> = {
  llama: {
    title: "Llama",
    architecture: "LlamaForCausalLM",
    defaults: { max_position_embeddings: 2048 },
    biases: (config) => [...attentionBias(config), ...(flag(config, "mlp_bias") ? mlp : [])],
    sliding: "never",
  },
  mistral: { title: "Mistral", architecture: "MistralForCausalLM", defaults: mistral, biases: () => [], sliding: "always" },
  ministral: { title: "Ministral", architecture: "MinistralForCausalLM", defaults: mistral, biases: () => [], sliding: "always" },
  qwen2: {
    title: "Qwen2",
    architecture: "Qwen2ForCausalLM",
    defaults: qwen,
    biases: () => ["q_proj", "k_proj", "v_proj"],
    sliding: "later",
  },
  qwen3: {
    title: "Qwen3",
    architecture: "Qwen3ForCausalLM",
    defaults: { ...qwen, head_dim: 128 },
    qkNorm: true,
    biases: attentionBias,
    sliding: "later",
  },
};

/** For messages: "Llama, Mistral, … models". */
export const supported = (): string => `${[...new Set(Object.values(families).map((family) => family.title))].join(", ")} models`;

/**
 * The family of an untrusted config.json, as transformers' AutoModelForCausalLM chooses it: by `model_type`, whichever causal language model
 * `architectures` names; by `architectures` where there is no `model_type`.
 * @throws QuantError `unsupported-architecture`.
 */
export function familyOf(config: Json): Family {
  const names = architecturesOf(config);
  const causal = names.filter((name) => /ForCausalLM/i.test(name));
  const type = config.model_type;
  const known = (name: string) => (Object.hasOwn(families, name) ? families[name] : undefined);
  const byType = typeof type === "string" ? known(type) : undefined;
  const byName = () => Object.values(families).find((f) => causal.some((name) => name.toLowerCase() === f.architecture.toLowerCase()));
  const family = names.length && !causal.length ? undefined : typeof type === "string" ? byType : byName();
  if (!family) throw new QuantError("unsupported-architecture", architectureName(config), `This version runs ${supported()}.`);
  return family;
}

/** A note where `architectures` names another class than the family's. */
export function familyNotes(config: Json, { title, architecture }: Family): string[] {
  const names = architecturesOf(config);
  if (!names.length || names.some((name) => name.toLowerCase() === architecture.toLowerCase())) return [];
  return [
    `config.json calls the architecture ${shown(names[0])}; read as ${title}, as transformers does for model_type ${config.model_type}.`,
  ];
}

const architecturesOf = ({ architectures: list }: Json): string[] =>
  Array.isArray(list) ? list.filter((name): name is string => typeof name === "string") : [];

/** What an untrusted config.json calls its architecture, for messages. */
export function architectureName(config: Json): string {
  const type = config.model_type;
  return (architecturesOf(config)[0] || (typeof type === "string" ? type : "no architecture in config.json")).slice(0, 80);
}

/** The attention window of each block, in tokens (0: full attention), as transformers' config classes derive it. @throws QuantError. */
export function slidingWindows(config: Json, { sliding, defaults }: Family, blocks: number): number[] {
  const given = config.layer_types ?? undefined;
  if (sliding === "never" || (sliding === "always" && given === undefined && !windowOf(config, defaults))) return new Array(blocks).fill(0);
  const window = sliding === "later" && !flag(config, "use_sliding_window") ? 0 : windowOf(config, defaults);
  const types = given === undefined ? derivedTypes(config, defaults, sliding, window, blocks) : givenTypes(given, blocks);
  if (window === 0 && types.includes("sliding_attention"))
    throw new QuantError(
      "bad-config",
      `config.json: layer_types has sliding layers, but ${sliding === "later" ? "use_sliding_window is not true" : "sliding_window is null"}`,
      "transformers cannot run it either: set sliding_window and use_sliding_window, or make every layer full_attention.",
    );
  return types.map((type) => (type === "sliding_attention" ? window : 0));
}

function windowOf(config: Json, defaults: Json): number {
  const window = config.sliding_window === undefined ? defaults.sliding_window : config.sliding_window;
  if (window === null) return 0;
  if (typeof window !== "number" || !Number.isSafeInteger(window) || window < 1)
    throw new QuantError("bad-config", "config.json: sliding_window is not a positive whole number");
  return window;
}

function derivedTypes(config: Json, defaults: Json, sliding: string, window: number, blocks: number): string[] {
  const first = sliding === "always" ? 0 : (config.max_window_layers ?? defaults.max_window_layers);
  if (!Number.isSafeInteger(first)) throw new QuantError("bad-config", "config.json: max_window_layers is not a whole number");
  return Array.from({ length: blocks }, (_, m) => (window > 0 && m >= (first as number) ? "sliding_attention" : "full_attention"));
}

function givenTypes(given: unknown, blocks: number): string[] {
  if (!Array.isArray(given) || given.length !== blocks)
    throw new QuantError("bad-config", `config.json: layer_types does not name the attention of each of the ${blocks} blocks`);
  // "attention" is transformers' older name for it.
  const types = given.map((type) => (type === "attention" ? "full_attention" : type));
  const other = types.find((type) => type !== "full_attention" && type !== "sliding_attention");
  if (other !== undefined)
    throw new QuantError(
      "unsupported-architecture",
      `layer_types has ${shown(String(other))}`,
      "Only full_attention and sliding_attention can be run.",
    );
  return types;
}

/** The layers of a config that have a bias, in the order of a block. */
export const biasedKinds = (config: Json, family: Family): ReadonlySet<LayerKind> => {
  const biased = family.biases(config);
  return new Set(layerKinds.filter((kind) => biased.includes(kind)));
};
