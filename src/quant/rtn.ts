import { isSearched } from "../ops/grid-kinds";
import type { Grid, GridSpec, Ops, Tensor } from "../ops/ops";
import type { Quantizer } from "./quantizer";

/** Round to nearest: every weight to the closest point of its group's grid. Needs no statistics. */
export const rtn: Quantizer = {
  needs: { H: false, C: false },
  packable: true,
  byLayer: true,
  // The elements are the codes, one per weight.
  cost: (rows, n) => ({ work: rows.reduce((a, b) => a + b, 0) * n, elements: rows.reduce((a, b) => a + b, 0) * n }),
  async quantize(stage, _, ops) {
    return {
      layers: stage.layers.map((layer) => ({
        ...roundToNearest(layer.weight, layer.grid, ops, layer.rest, stage.diagonal),
        damping: [],
        fallback: null,
      })),
      fold: null,
    };
  },
};

/**
 * Codes [out, in] and grid of W, rounded to nearest.
 * @param rest what W lost when it was rounded to f32, needed to make exact grids. @param importance of the inputs [in], for grids that are searched for.
 */
export function roundToNearest(
  W: Tensor,
  spec: GridSpec,
  ops: Ops,
  rest: Tensor | null = null,
  importance: Tensor | null = null,
): { codes: Tensor; grid: Grid } {
  const grid = gridOf(W, spec, ops, rest, importance);
  return { codes: ops.encode(W, grid, spec.bits), grid };
}

/** The grid of W [out, in], by its kind. */
export function gridOf(W: Tensor, spec: GridSpec, ops: Ops, rest: Tensor | null, importance: Tensor | null): Grid {
  const { kind = "integer-zero" } = spec;
  return isSearched(kind) ? ops.searchGrid(W, { ...spec, kind }, importance) : ops.grid(W, spec, rest);
}
