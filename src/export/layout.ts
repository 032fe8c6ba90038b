import { QuantError } from "../errors";
import type { TensorSpec } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import type { LayerPlan, RunPlan } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { FormatId } from "../recipe/recipe";
import { checkKinds, type Format } from "./format";
import * as all from "./formats";

/** Every export format by its id; the compiler asks for each that recipe/formats.ts names. */
export const formats: Readonly<Record<FormatId, Format>> = all;

/** Every output tensor before any work, in the source's order; a quantized layer's tensors stand where its weight stood. */
export interface Piece {
  spec: TensorSpec;
  /** The layer it belongs to and its number among that layer's tensors; null: copied from the source as it is. */
  part: { name: string; index: number } | null;
  /** The run folded a scale into this tensor: f16 in place of the source's dtype. */
  replaced?: boolean;
  /** f16 cannot hold it: f32. */
  wide?: boolean;
}

/** What only a finished run can tell of its tensors, by their names. */
export interface Outcome {
  /** Those that the run changed without quantizing them. */
  readonly replaced: { has(name: string): boolean };
  /** Those that f16 cannot hold. */
  readonly wide: { has(name: string): boolean };
}

const nothing: Outcome = { replaced: new Set<string>(), wide: new Set<string>() };

/** @throws QuantError `bad-format` when the format cannot hold what the recipe makes of this model. */
export function pieces(model: Checkpoint, { recipe, layers: plans }: RunPlan, { replaced, wide }: Outcome = nothing): Piece[] {
  const format = formats[recipe.format];
  const layers = new Map(plans.map((layer) => [layer.name, layer]));
  if (format.packed && !model.spec)
    throw new QuantError("bad-format", `which layers clients expect packed is not known of ${model.architecture}`, "Use the dense format.");
  if (format.packed) checkPackable(plans);
  checkKinds(recipe.format, format, plans);
  format.check(plans, recipe, layers.size === model.layers.length);
  return [...model.shards.tensors.values()].flatMap((t): Piece[] => {
    const layer = layers.get(t.name.replace(/\.weight$/, ""));
    const isWide = wide.has(t.name);
    if (replaced.has(t.name))
      return [{ spec: { name: t.name, dtype: isWide ? "F32" : "F16", shape: t.shape }, part: null, replaced: true, wide: isWide }];
    if (!layer || !t.name.endsWith(".weight")) return [{ spec: { name: t.name, dtype: t.dtype, shape: t.shape }, part: null }];
    return format.tensors(layer, isWide).map((spec, index) => ({ spec, part: { name: layer.name, index }, wide: isWide }));
  });
}

function checkPackable(layers: readonly LayerPlan[]): void {
  const method = layers.map((layer) => layer.method).find((m) => !quantizers[m].packable);
  if (method)
    throw new QuantError("bad-format", `${method}'s weights are on no grid that a packed file could hold`, "Use the dense format.");
}
