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
      layers: stage.layers.map(({ weight, grid, rest }) => ({ ...roundToNearest(weight, grid, ops, rest), damping: [], fallback: null })),
      fold: null,
    };
  },
};

/** Codes [out, in] and grid of W, rounded to nearest. @param rest what W lost when it was rounded to f32, needed to make exact grids. */
export function roundToNearest(W: Tensor, spec: GridSpec, ops: Ops, rest: Tensor | null = null): { codes: Tensor; grid: Grid } {
  const grid = ops.grid(W, spec, rest);
  return { codes: ops.encode(W, grid, spec.bits), grid };
}
