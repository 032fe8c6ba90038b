import type { Grid, Ops, Tensor } from "../ops/ops";
import type { Recipe } from "../recipe/recipe";
import { gridSpec, type Quantizer } from "./quantizer";

/** Round to nearest: every weight to the closest point of its group's grid. Needs no statistics. */
export const rtn: Quantizer = {
  needs: { H: false, C: false },
  packable: true,
  // One code a weight.
  cost: (rows, n) => ({ work: rows.reduce((a, b) => a + b, 0) * n, elements: rows.reduce((a, b) => a + b, 0) * n }),
  async quantize(stage, recipe, ops) {
    return { layers: stage.layers.map((layer) => roundToNearest(layer.weight, recipe, ops, layer.rest)), fold: null };
  },
};

export function roundToNearest(
  W: Tensor,
  recipe: Recipe,
  ops: Ops,
  rest: Tensor | null = null,
): { codes: Tensor; grid: Grid; damping: number[]; fallback: string | null } {
  const grid = ops.grid(W, gridSpec(recipe), rest);
  return { codes: ops.encode(W, grid, recipe.bits), grid, damping: [], fallback: null };
}
