/** The network that a file says it is beside the original's: what both compute, whatever their weights. */
import { hasOtherHead } from "../model/head";
import { frequenciesOf, ropeMagnitude } from "../model/rope";
import type { ModelSpec } from "../model/spec";
import type { CheckJob } from "./job";

/** What a file says. */
export interface Network {
  readonly spec: ModelSpec;
  /** It holds a head of its own. */
  readonly hasHead: boolean;
  /** How clients name a setting in this kind of file. */
  readonly names: Readonly<Record<Setting, string>>;
  /** It is made for contexts of up to so many tokens, where that is all that it is run with. */
  readonly positions?: number;
}

export type Setting =
  | "blocks"
  | "hidden"
  | "intermediate"
  | "heads"
  | "kvHeads"
  | "headDim"
  | "eps"
  | "qkNorm"
  | "biases"
  | "vocabulary"
  | "rope"
  | "windows"
  | "head";

/** As config.json names them. */
export const configNames: Network["names"] = {
  blocks: "num_hidden_layers",
  hidden: "hidden_size",
  intermediate: "intermediate_size",
  heads: "num_attention_heads",
  kvHeads: "num_key_value_heads",
  headDim: "head_dim",
  eps: "rms_norm_eps",
  qkNorm: "model_type",
  biases: "model_type, attention_bias, mlp_bias",
  vocabulary: "vocab_size",
  rope: "rope_theta, rope_scaling, rope_parameters",
  windows: "sliding_window, layer_types",
  head: "tie_word_embeddings",
};

/** 32-bit floats in a file are this far from what config.json writes. */
const rounding = 1e-6;
const ropeRounding = 1e-4;

const titles: readonly (readonly [Exclude<Setting, "biases" | "vocabulary" | "rope" | "windows" | "head">, string])[] = [
  ["blocks", "Blocks"],
  ["hidden", "Width"],
  ["intermediate", "Width of the MLP"],
  ["heads", "Attention heads"],
  ["kvHeads", "Heads of keys and values"],
  ["headDim", "Dimension of a head"],
  ["eps", "Epsilon of the norms"],
  ["qkNorm", "Norms of queries and keys"],
];

/** Reports what the file computes otherwise than the original. @throws QuantError what reading the original throws, `cancelled`. */
export async function compareNetworks(job: CheckJob, file: Network): Promise<void> {
  const original = job.original?.spec;
  if (!original) return;
  const differs = (setting: Setting, what: string, is: string, should: string) => tellOther(job, what, is, should, file.names[setting]);
  for (const [setting, title] of titles) {
    const [is, should] = [file.spec[setting], original[setting]];
    if (!isSame(is, should)) differs(setting, title, textOf(is), textOf(should));
  }
  // Biases that only the file has are compared with 0.
  const biases = [...original.biases].filter((kind) => !file.spec.biases.has(kind));
  if (biases.length) differs("biases", `Biases of ${biases.join(", ")}`, "none", "there");
  if (file.spec.vocabulary < original.vocabulary)
    differs("vocabulary", "Rows of embeddings", textOf(file.spec.vocabulary), textOf(original.vocabulary));
  if (!turnsAlike(file, original)) differs("rope", "Rotary embedding", ropeText(file.spec), ropeText(original));
  checkWindows(job, file, original);
  if (!file.hasHead && !original.tied && (await hasOtherHead(job.original!.shards)))
    differs("head", "Head", "the embeddings", "a matrix of its own");
}

/** @param what as the beginning of a sentence. @param where the setting's name. */
export function tellOther({ findings }: CheckJob, what: string, is: string, should: string, where: string): void {
  const message = `The file computes another model. ${what}: ${is}; in the original: ${should}. Write it again from the original, or set what is named here as the original has it.`;
  findings.add("error", "other-network", message, where);
}

type Value = number | boolean;

const isSame = (a: Value, b: Value): boolean => near(Number(a), Number(b), rounding);

const near = (a: number, b: number, limit: number) => a === b || Math.abs(a - b) <= limit * Math.abs(b);

const textOf = (value: Value): string => (typeof value === "boolean" ? (value ? "there" : "none") : String(Number(value.toPrecision(7))));

/** Whether both turn queries and keys by the same angles: bases and kinds of scaling may differ that come to the same. */
function turnsAlike({ spec, positions }: Network, original: ModelSpec): boolean {
  // Of other widths, which are told already.
  if (spec.headDim !== original.headDim) return true;
  const lengths = [1, positions ?? 2 * original.maxPositions];
  return (
    near(ropeMagnitude(spec), ropeMagnitude(original), ropeRounding) &&
    lengths.every((length) => {
      const should = frequenciesOf(original, length);
      return frequenciesOf(spec, length).every((f, i) => near(f, should[i], ropeRounding));
    })
  );
}

function ropeText({ ropeTheta, ropeScaling: { kind, ...settings } }: ModelSpec): string {
  const numbers = Object.entries(settings).map(([name, value]) =>
    value instanceof Float32Array ? `${name} ${textOf(Math.min(...value))} to ${textOf(Math.max(...value))}` : `${name} ${value}`,
  );
  const scaling = kind === "default" ? "without scaling" : `with ${kind} scaling (${numbers.join(", ")})`;
  return `theta ${textOf(ropeTheta)} ${scaling}`;
}

/** Up to the window's length nothing differs. */
function checkWindows({ findings }: CheckJob, file: Network, original: ModelSpec): void {
  const longest = file.positions ?? file.spec.maxPositions;
  const windows = (spec: ModelSpec) =>
    Array.from({ length: original.blocks }, (_, m) => spec.slidingWindows[m] || Number.POSITIVE_INFINITY);
  const [is, should] = [windows(file.spec), windows(original)];
  const same = Math.min(...is.flatMap((window, m) => (window === should[m] ? [] : [window, should[m]])));
  if (same < longest)
    findings.add(
      "warning",
      "other-network",
      `Beyond ${same} tokens it computes another model: blocks attend to ${windowText(is)} in the file, to ${windowText(should)} in the original. Use it for no more tokens, or set what is named here as the original has it.`,
      file.names.windows,
    );
}

function windowText(windows: readonly number[]): string {
  const texts = [...new Set(windows)].map((window) => (Number.isFinite(window) ? `the last ${window} tokens` : "all tokens"));
  return texts.join(" or ");
}
