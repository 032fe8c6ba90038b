import { throwIfCancelled } from "../errors";
import { isSearched } from "../ops/grid-kinds";
import type { Grid, GridSpec, Ops, Tensor } from "../ops/ops";
import type { MethodOptions } from "../recipe/recipe";
import type { InverseFactor, WantedFactor } from "./factor";
import type { QuantizedLayer, Quantizer, StageLayer, StageResult, StageView } from "./quantizer";
import { gridOf, roundToNearest } from "./rtn";

/** Columns in a block. The columns after it learn of its errors when it is done, and "block" group grids are made at its start (as in the reference codes). */
const blockColumns = 128;

/** The factor that rounding column by column needs. */
export function factorOf({ gptq: { damp, actOrder } }: MethodOptions): WantedFactor {
  return { damp, actOrder };
}

/**
 * GPTQ (Frantar et al., 2022): columns in order, each one's rounding error compensated by the columns after it through U, UᵀU = (H + λI)⁻¹.
 * Layers of a stage share U and the order of the columns.
 */
export const gptq: Quantizer = {
  needs: { H: true, C: false },
  packable: true,
  byLayer: true,
  cost: (rows, n) => {
    const out = rows.reduce((a, b) => a + b, 0);
    // A copy of the largest layer and its errors, while codes of all of them pile up.
    return { work: out * n * n, elements: Math.max(...rows) * (n + blockColumns) + out * n };
  },
  factor: factorOf,
  quantize: (stage, options, ops, signal) => quantizeColumns(stage, options, ops, null, signal),
};

/** A further effect of a rounded column on the later ones, given U and the visiting order: a new [n, n] strictly upper matrix (GPTAQ's P). */
export type FeedBack = (ops: Ops, U: Tensor, order: Tensor | null) => Tensor;

/** Rounds layers column by column with the stage's factor. */
export async function quantizeColumns(
  stage: StageView,
  options: MethodOptions,
  ops: Ops,
  more: FeedBack | null,
  signal?: AbortSignal,
): Promise<StageResult> {
  const factor = stage.factor!;
  const { U, order, tried } = factor;
  const P = U && more ? more(ops, U, order) : null;
  const layers: QuantizedLayer[] = [];
  for (const layer of stage.layers) {
    const result = U ? roundLayer(layer, factor, U, P, options, ops) : roundToNearest(layer.weight, layer.grid, ops, layer.rest);
    layers.push({ ...result, damping: tried, fallback: U ? null : "the Hessian was not positive definite: rounded to nearest" });
    await ops.flush();
    throwIfCancelled(signal);
  }
  if (P) ops.free(P);
  return { layers, fold: null };
}

/** One layer: its grids, then its columns block by block. */
function roundLayer(
  { weight, rest, grid: wanted }: StageLayer,
  { order, dead }: InverseFactor,
  U: Tensor,
  P: Tensor | null,
  options: MethodOptions,
  ops: Ops,
): { codes: Tensor; grid: Grid } {
  const [out, n] = weight.shape;
  const spec: GridSpec = { ...wanted, mse: options.gptq.mse };
  const live = ops.zeroColumns(weight, dead);
  // A grid that is searched for counts all inputs alike: error feedback weighs them by H itself, and doing both gained nothing.
  // The one grid of a whole row is made with the weights of dead inputs too, as in the reference codes.
  const grid = gridOf(spec.groupSize < 0 ? weight : live, spec, ops, rest, null);
  const W = order ? ops.gatherColumns(live, order) : live;
  if (order) ops.free(live);
  const codes = ops.zeros([out, n], "uint");
  const errors = ops.zeros([out, blockColumns]);
  const rounding = { W, U, codes, errors, grid, bits: spec.bits, groupSize: spec.groupSize, order, P };
  const moving = spec.groupSize > 0 && !order && !isSearched(spec.kind ?? "integer-zero");
  // A block of one group sees every error before it: that is what a live grid is.
  const step = moving && options.gptq.groupGrids === "live" ? spec.groupSize : blockColumns;
  for (let from = 0; from < n; from += step) {
    const to = Math.min(from + step, n);
    if (moving) ops.regrid(grid, W, spec, from, to, rest);
    ops.roundColumns(rounding, from, to);
  }
  ops.free(errors, W);
  if (!order) return { codes, grid };
  const inOrder = ops.scatterColumns(codes, order);
  ops.free(codes);
  return { codes: inOrder, grid };
}
