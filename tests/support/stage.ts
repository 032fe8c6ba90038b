import type { Tensor } from "../../src/ops/ops";
import { gridSpec, type QuantizedLayer, type StageView } from "../../src/quant/quantizer";
import type { PackedLayer, QuantizedModel } from "../../src/quant/stored";
import type { Recipe } from "../../src/recipe/recipe";

const absent = (): never => {
  throw new Error("this stage has no chunks");
};

/** A stage of one layer with given statistics, for methods that look at nothing else. */
export function stageOf(recipe: Recipe, weight: Tensor, H: Tensor | null, C: Tensor | null = null, rest: Tensor | null = null): StageView {
  const layers = [{ kind: "q_proj" as const, name: "layer", weight, grid: gridSpec(recipe), rest }];
  return { block: 0, layers, H, C, tokens: 1, chunks: 0, x: absent, xq: absent, moduleOutput: absent, foldable: false };
}

/** The layer, known to be on a grid. */
export function onGrid(layer: QuantizedLayer) {
  if (!("codes" in layer)) throw new Error("the layer is on no grid");
  return layer;
}

/** A run's layers, all of them known to be packed. */
export function packed({ layers }: QuantizedModel): PackedLayer[] {
  return [...layers.values()].map((layer) => {
    if (layer.kind !== "packed") throw new Error(`${layer.name} is dense`);
    return layer;
  });
}
