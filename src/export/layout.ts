import { QuantError } from "../errors";
import type { TensorSpec } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import { gridSpec } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import type { FormatId, Recipe } from "../recipe/recipe";
import { settingsOf } from "../recipe/rules";
import { dense } from "./dense";
import { checkKinds, type Format, type LayerShape } from "./format";
import { gptq } from "./gptq";

/** Every export format by its name in a recipe. */
export const formats: Readonly<Record<FormatId, Format>> = { dense, gptq };

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

/** The layers that a recipe quantizes, by name. */
export function plannedLayers({ layers }: Pick<Checkpoint, "layers">, recipe: Recipe): Map<string, LayerShape> {
  const quantized = layers.filter(({ block }) => recipe.blocks === null || block < recipe.blocks);
  return new Map(
    quantized.map(({ name, shape }) => {
      const { bits, groupSize, kind: gridKind } = gridSpec(settingsOf(recipe, name));
      return [name, { name, shape, bits, groups: groupSize < 0 ? 1 : shape[1] / groupSize, gridKind }];
    }),
  );
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
export function pieces(model: Checkpoint, recipe: Recipe, { replaced, wide }: Outcome = nothing): Piece[] {
  const format = formats[recipe.format];
  const layers = plannedLayers(model, recipe);
  if (format.packed && !model.spec)
    throw new QuantError("bad-format", `which layers clients expect packed is not known of ${model.architecture}`, "Use the dense format.");
  if (format.packed) checkPackable(layers, recipe);
  checkKinds(recipe.format, format, layers.values());
  format.check([...layers.values()], recipe, layers.size === model.layers.length);
  return [...model.shards.tensors.values()].flatMap((t): Piece[] => {
    const layer = layers.get(t.name.replace(/\.weight$/, ""));
    const isWide = wide.has(t.name);
    if (replaced.has(t.name))
      return [{ spec: { name: t.name, dtype: isWide ? "F32" : "F16", shape: t.shape }, part: null, replaced: true, wide: isWide }];
    if (!layer || !t.name.endsWith(".weight")) return [{ spec: { name: t.name, dtype: t.dtype, shape: t.shape }, part: null }];
    return format.tensors(layer, isWide).map((spec, index) => ({ spec, part: { name: layer.name, index }, wide: isWide }));
  });
}

function checkPackable(layers: ReadonlyMap<string, unknown>, recipe: Recipe): void {
  const method = [...layers.keys()].map((name) => settingsOf(recipe, name).method).find((m) => !quantizers[m].packable);
  if (method)
    throw new QuantError("bad-format", `${method}'s weights are on no grid that a packed file could hold`, "Use the dense format.");
}
