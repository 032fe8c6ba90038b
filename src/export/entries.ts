import { QuantError } from "../errors";
import type { Checkpoint } from "../model/checkpoint";
import type { LayerPlan, RunPlan } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { FormatId } from "../recipe/recipe";
import type { EntrySpec, Layout } from "./containers/container";
import * as all from "./formats";
import { checkKinds, type Format } from "./formats/format";

/** Every export format by its id; the compiler asks for each that recipe/formats.ts names. */
export const formats: Readonly<Record<FormatId, Format>> = all;

/** Where an entry's bytes come from: one of the tensors of a quantized layer, what a fold made of a tensor of the source, or the source as it is. */
export type EntrySource = { from: "layer"; name: string; index: number } | { from: "fold" } | { from: "source" };

/** One tensor of the export. */
export interface Entry {
  readonly spec: EntrySpec;
  readonly source: EntrySource;
  /** A tensor that the run made, written in f32 because f16 cannot hold it. */
  readonly isWide: boolean;
}

/** What is known of a run's tensors only once it has finished, by their names. */
export interface RunChanges {
  /** Those that the run changed without quantizing them. */
  readonly replaced: { has(name: string): boolean };
  /** Those that f16 cannot hold. */
  readonly wide: { has(name: string): boolean };
}

const nothing: RunChanges = { replaced: new Set<string>(), wide: new Set<string>() };

/**
 * Every tensor of an export, known before any of them is made, in the source's order; a quantized layer's tensors come where its weight was.
 * @throws QuantError `bad-format` when the format cannot hold what the recipe makes of this model.
 */
export function entriesOf(model: Checkpoint, { recipe, layers: plans }: RunPlan, { replaced, wide }: RunChanges = nothing): Entry[] {
  const format = formats[recipe.format];
  const layers = new Map(plans.map((layer) => [layer.name, layer]));
  if (format.packed && !model.spec)
    throw new QuantError(
      "bad-format",
      `it is not known which layers of ${model.architecture} clients expect packed`,
      "Use the dense format.",
    );
  if (format.packed) checkPackable(plans);
  checkKinds(recipe.format, format, plans);
  format.check(plans, recipe, layers.size === model.layers.length);
  return [...model.shards.tensors.values()].flatMap(({ name, dtype, shape }): Entry[] => {
    const layer = name.endsWith(".weight") && layers.get(name.replace(/\.weight$/, ""));
    const isWide = wide.has(name);
    if (replaced.has(name)) return [{ spec: { name, dtype: isWide ? "F32" : "F16", shape }, source: { from: "fold" }, isWide }];
    if (!layer) return [{ spec: { name, dtype, shape }, source: { from: "source" }, isWide: false }];
    return format
      .tensors(layer, isWide)
      .map((spec, index) => ({ spec, source: { from: "layer" as const, name: layer.name, index }, isWide }));
  });
}

/** Where these entries go in the files. */
export const layoutOf = ({ recipe }: RunPlan, entries: readonly Entry[]): Layout =>
  formats[recipe.format].container.layout(entries.map(({ spec }) => spec));

function checkPackable(layers: readonly LayerPlan[]): void {
  const method = layers.map((layer) => layer.method).find((m) => !quantizers[m].packable);
  if (method)
    throw new QuantError("bad-format", `${method}'s weights are not on a grid that a packed file could hold`, "Use the dense format.");
}
