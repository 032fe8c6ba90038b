import { QuantError } from "../errors";
import type { TensorSpec } from "../io/writer";
import type { Model } from "../model/checkpoint";
import { layerName, layerShape } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { quantizers } from "../quant/registry";
import { type FormatId, layerKinds, type Recipe } from "../recipe/recipe";
import { dense } from "./dense";
import type { Format, LayerShape } from "./format";
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
}

/** The layers that a recipe quantizes, by name. */
export function plannedLayers(spec: ModelSpec, recipe: Recipe): Map<string, LayerShape> {
  const blocks = Math.min(recipe.blocks ?? spec.blocks, spec.blocks);
  const layers = new Map<string, LayerShape>();
  for (let m = 0; m < blocks; m++)
    for (const kind of layerKinds) {
      const [out, n] = layerShape(spec, kind);
      const name = layerName(m, kind);
      layers.set(name, { name, shape: [out, n], bits: recipe.bits, groups: recipe.groupSize < 0 ? 1 : n / recipe.groupSize });
    }
  return layers;
}

/** @throws QuantError `bad-format` when the format cannot hold what the recipe makes of this model. */
export function pieces(model: Model, recipe: Recipe, replaced: ReadonlyMap<string, unknown> = new Map()): Piece[] {
  const format = formats[recipe.format];
  if (format.packed && !quantizers[recipe.method].packable)
    throw new QuantError("bad-format", `${recipe.method}'s weights are on no grid that a packed file could hold`, "Use the dense format.");
  format.check(model.spec, recipe);
  const layers = plannedLayers(model.spec, recipe);
  return [...model.shards.tensors.values()].flatMap((t): Piece[] => {
    const layer = layers.get(t.name.replace(/\.weight$/, ""));
    if (replaced.has(t.name)) return [{ spec: { name: t.name, dtype: "F16", shape: t.shape }, part: null, replaced: true }];
    if (!layer || !t.name.endsWith(".weight")) return [{ spec: { name: t.name, dtype: t.dtype, shape: t.shape }, part: null }];
    return format.tensors(layer).map((spec, index) => ({ spec, part: { name: layer.name, index } }));
  });
}
