import { findFile } from "../io/source";
import type { ModelSummary } from "../worker/protocol";
import { census, type Model } from "./checkpoint";
import { packingTitle } from "./packing";

/** The facts of a checkpoint, from its headers and config. */
export function summarize(model: Model): ModelSummary {
  const { spec, source, shards } = model;
  const hasTokenizer = findFile(source, "tokenizer.json") !== undefined;
  const { parameters, bytes, dtypes } = census(model);
  return {
    label: source.label,
    architecture: spec.architecture,
    parameters,
    dtypes,
    blocks: spec.blocks,
    hidden: spec.hidden,
    intermediate: spec.intermediate,
    heads: spec.heads,
    kvHeads: spec.kvHeads,
    headDim: spec.headDim,
    vocabulary: spec.vocabulary,
    maxPositions: spec.maxPositions,
    tied: spec.tied,
    bytes,
    files: new Set([...shards.tensors.values()].map((t) => t.file)).size,
    hasTokenizer,
    packing: spec.packing && packingTitle(spec.packing),
    warnings: hasTokenizer
      ? []
      : ["tokenizer.json is missing: calibration text cannot be read without it. Add it, or use token ids (.npy)."],
  };
}
