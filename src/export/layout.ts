import type { TensorSpec } from "../io/writer";
import type { Model } from "../model/checkpoint";
import { layerName } from "../model/layers";
import type { QuantizedModel, StoredLayer } from "../quant/stored";
import type { FormatId } from "../recipe/recipe";
import { layerKinds } from "../recipe/recipe";
import { dense } from "./dense";
import type { Format } from "./format";

export const formats: Readonly<Record<FormatId, Format>> = { dense };

/** One output tensor: a layer's, or one copied from the source as it is. */
export type Piece = { spec: TensorSpec; layer: StoredLayer } | { spec: TensorSpec; layer: null };

/** Every output tensor in the source's order; a quantized layer's tensors stand where its weight stood. */
export function pieces(model: Model, quantized: QuantizedModel, format: FormatId): Piece[] {
  const quantizable = new Set(Array.from({ length: model.spec.blocks }, (_, m) => layerKinds.map((kind) => layerName(m, kind))).flat());
  return [...model.shards.tensors.values()].flatMap((t): Piece[] => {
    const name = t.name.endsWith(".weight") ? t.name.slice(0, -".weight".length) : "";
    const layer = quantizable.has(name) ? quantized.get(name) : undefined;
    if (layer) return formats[format].tensors(layer).map((spec) => ({ spec, layer }));
    return [{ spec: { name: t.name, dtype: t.dtype, shape: t.shape }, layer: null }];
  });
}
