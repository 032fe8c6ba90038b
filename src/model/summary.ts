import type { QuantError } from "../errors";
import { findFile } from "../io/source";
import type { ModelSummary } from "../results/model";
import { type Checkpoint, census } from "./checkpoint";
import { blockCount } from "./generic";
import { packingTitle } from "./packing";

/** The facts of a checkpoint, from its headers and config. */
export function summarize(checkpoint: Checkpoint): ModelSummary {
  const { spec, source, shards, layers, architecture, stored } = checkpoint;
  const counted = census(checkpoint);
  const hasTokenizer = findFile(source, "tokenizer.json") !== undefined;
  return {
    label: source.label,
    architecture,
    ...counted,
    ...(stored && { bytes: stored.bytes, dtypes: [...stored.types] }),
    blocks: spec?.blocks ?? blockCount(layers),
    layers: layers.length,
    shape: spec && {
      hidden: spec.hidden,
      intermediate: spec.intermediate,
      heads: spec.heads,
      kvHeads: spec.kvHeads,
      headDim: spec.headDim,
      vocabulary: spec.vocabulary,
      maxPositions: spec.maxPositions,
      tied: spec.tied,
    },
    files: stored?.files ?? new Set([...shards.tensors.values()].map((t) => t.file)).size,
    hasTokenizer,
    packing: stored?.title ?? (spec?.packing ? packingTitle(spec.packing) : null),
    notes: [...checkpoint.notes],
    warnings: warnings(checkpoint, hasTokenizer),
  };
}

function warnings({ spec, architecture, unsupported, layers }: Checkpoint, hasTokenizer: boolean): string[] {
  if (!spec)
    return [
      `${architecture} cannot be run here${reason(unsupported, architecture)}, so nothing is calibrated: its ${layers.length} linear layers are rounded to nearest, without QEP, Δ or perplexity, and stored as floats: the files get no smaller.`,
    ];
  return hasTokenizer ? [] : ["tokenizer.json is missing: calibration text cannot be read without it. Add it, or use token ids (.npy)."];
}

/** Why it cannot be run, where it is not the architecture itself. */
const reason = (unsupported: QuantError | null, architecture: string): string =>
  unsupported && unsupported.where !== architecture ? ` (${unsupported.where})` : "";
