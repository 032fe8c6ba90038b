import type { Ops, Tensor } from "../ops/ops";
import type { Recipe } from "../recipe/recipe";
import { gridSpec, type QuantizedLayer, type Quantizer } from "./quantizer";

/** Round to nearest: every weight to the closest point of its group's grid. Needs no statistics. */
export const rtn: Quantizer = {
  needs: { H: false, C: false },
  // One code a weight.
  cost: (rows, n) => ({ work: rows.reduce((a, b) => a + b, 0) * n, elements: rows.reduce((a, b) => a + b, 0) * n }),
  async quantize(stage, recipe, ops) {
    return stage.layers.map((layer) => roundToNearest(layer.weight, recipe, ops));
  },
};

export function roundToNearest(W: Tensor, recipe: Recipe, ops: Ops): QuantizedLayer {
  const grid = ops.grid(W, gridSpec(recipe));
  return { codes: ops.encode(W, grid, recipe.bits), grid, damping: [], fallback: null };
}
