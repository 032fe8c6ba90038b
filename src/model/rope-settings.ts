import { QuantError } from "../errors";
import { shown } from "../io/text";

type Json = Record<string, unknown>;

/** How the rotary embedding's frequencies are scaled; the fields as transformers' rope utilities name them. */
export type RopeScaling =
  | { kind: "default" }
  | { kind: "linear"; factor: number }
  | { kind: "dynamic"; factor: number }
  /** By what each pair's angle is divided: [headDim/2]; how a GGUF file holds Llama 3's. */
  | { kind: "divided"; divisors: Float32Array }
  | { kind: "llama3"; factor: number; lowFrequency: number; highFrequency: number; originalPositions: number }
  | {
      kind: "yarn";
      factor: number;
      betaFast: number;
      betaSlow: number;
      originalPositions: number;
      /** Factor of cos and sin. */
      attentionFactor: number;
      /** The ramp's ends are rounded outwards. */
      truncate: boolean;
    };

export interface Rope {
  ropeTheta: number;
  ropeScaling: RopeScaling;
}

const wrong = (detail: string) => new QuantError("bad-config", `config.json: ${detail}`, "Check that this is the model's own config.json.");
const unsupported = (detail: string) =>
  new QuantError("unsupported-architecture", detail, "Rope types default, linear, dynamic, llama3 and yarn can be run.");

/** transformers 4 wrote rope_theta and rope_scaling, 5 writes rope_parameters. Where both are given, only rope_scaling is read, as in transformers. */
export function ropeSettingsOf(config: Json): { settings: Json; field: string } {
  for (const field of ["rope_scaling", "rope_parameters"]) {
    const value = config[field];
    if (value === undefined || value === null || value === false) continue;
    if (typeof value !== "object" || Array.isArray(value)) throw wrong(`${field} is not an object`);
    if (Object.keys(value).length) return { settings: value as Json, field };
  }
  return { settings: {}, field: "rope_parameters" };
}

/**
 * The rotary embedding's settings, wherever an untrusted config.json keeps them.
 * @throws QuantError `bad-config` naming the field, `unsupported-architecture` naming the type.
 */
export function ropeOf(config: Json, maxPositions: number): Rope {
  const { settings, field } = ropeSettingsOf(config);
  if (["full_attention", "sliding_attention"].some((type) => type in settings)) throw unsupported(`${field} by layer type`);
  const ropeTheta = positive("rope_theta" in settings ? settings.rope_theta : config.rope_theta, "rope_theta", 10_000);
  const read = reader(settings, field);
  const kind = "rope_type" in settings ? settings.rope_type : (settings.type ?? "default");
  const partial = "partial_rotary_factor" in settings ? settings.partial_rotary_factor : (config.partial_rotary_factor ?? 1);
  // With the default type these families rotate every dimension, whatever partial_rotary_factor says; with another type transformers fails.
  if (kind !== "default" && partial !== 1)
    throw unsupported(`rope type ${shown(String(kind))} with partial_rotary_factor ${shown(String(partial))}`);
  const original = () => read.number("original_max_position_embeddings", maxPositions, config.original_max_position_embeddings);
  return { ropeTheta, ropeScaling: scalingOf(kind, settings, read, original, maxPositions) };
}

type Reader = ReturnType<typeof reader>;

/** The fallback is for a missing value only: on null, and on a number in quotation marks, transformers fails too. */
function positive(value: unknown, name: string, fallback?: number): number {
  const number = value === undefined ? fallback : value;
  if (typeof number !== "number" || !(number > 0) || !Number.isFinite(number)) throw wrong(`${name} is not a positive number`);
  return number;
}

function reader(settings: Json, field: string) {
  return {
    /** `over` beats the settings, `fallback` stands in for what is missing; without one it must be there. */
    number: (name: string, fallback?: number, over?: unknown) =>
      positive(over === undefined ? settings[name] : over, `${field}'s ${name}`, fallback),
    /** Like Python's `or`: the fallback stands in for null and 0 too. */
    or: (name: string, fallback: number) => positive(settings[name] || undefined, `${field}'s ${name}`, fallback),
  };
}

function scalingOf(kind: unknown, settings: Json, read: Reader, original: () => number, maxPositions: number): RopeScaling {
  switch (kind) {
    case "default":
      return { kind };
    case "linear":
    case "dynamic":
      return { kind, factor: read.number("factor") };
    case "llama3":
      return {
        kind,
        factor: read.number("factor"),
        lowFrequency: read.number("low_freq_factor"),
        highFrequency: read.number("high_freq_factor"),
        originalPositions: original(),
      };
    case "yarn":
      return yarn(settings, read, original(), maxPositions);
    default:
      throw unsupported(`rope type ${shown(String(kind))}`);
  }
}

/** By what YaRN multiplies cos and sin where nothing else is said. */
export const yarnMagnitude = (factor: number, mscale = 1): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);

function yarn(settings: Json, read: Reader, originalPositions: number, maxPositions: number): RopeScaling {
  // A factor of null is taken from the two lengths; a missing one is an error, here as in transformers.
  const factor = settings.factor === null ? maxPositions / originalPositions : read.number("factor");
  const scale = (mscale?: number) => yarnMagnitude(factor, mscale);
  const both = settings.mscale && settings.mscale_all_dim;
  const inferred = both ? scale(read.number("mscale")) / scale(read.number("mscale_all_dim")) : scale();
  return {
    kind: "yarn",
    factor,
    betaFast: read.or("beta_fast", 32),
    betaSlow: read.or("beta_slow", 1),
    originalPositions,
    attentionFactor: settings.attention_factor === null ? inferred : read.number("attention_factor", inferred),
    truncate: settings.truncate === undefined || Boolean(settings.truncate),
  };
}
