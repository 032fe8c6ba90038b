import { throwIfCancelled } from "../errors";
import type { Grid, GridSpec, Ops, Tensor } from "../ops/ops";
import type { MethodOptions } from "../recipe/recipe";
import { factorDamped } from "./damping";
import type { QuantizedLayer, Quantizer, StageLayer, StageResult, StageView } from "./quantizer";
import { roundToNearest } from "./rtn";

/** Columns in a block. The columns after it learn of its errors when it is done, and "block" group grids are made at its start (as in the reference codes). */
const blockColumns = 128;

/**
 * GPTQ (Frantar et al., 2022): columns in order, each one's rounding error compensated by the columns after it through U, UᵀU = (H + λI)⁻¹.
 * H is factorised once a stage; layers share U and the order of the columns.
 */
export const gptq: Quantizer = {
  needs: { H: true, C: false },
  packable: true,
  cost: (rows, n) => {
    const out = rows.reduce((a, b) => a + b, 0);
    // Permuted H, L, L⁻¹ and U; then U with a copy of the largest layer and its errors, while codes of all of them pile up.
    return { work: n ** 3 + out * n * n, elements: Math.max(4 * n * n, n * n + Math.max(...rows) * (n + blockColumns) + out * n) };
  },
  quantize: (stage, options, ops, signal) => quantizeColumns(stage, options, ops, null, signal),
};

/** A further effect of a rounded column on the later ones, given U and the visiting order: a new [n, n] strictly upper matrix (GPTAQ's P). */
export type FeedBack = (ops: Ops, U: Tensor, order: Tensor | null) => Tensor;

/** Rounds the stage's layers column by column, with one factor for all of them. */
export async function quantizeColumns(
  stage: StageView,
  options: MethodOptions,
  ops: Ops,
  more: FeedBack | null,
  signal?: AbortSignal,
): Promise<StageResult> {
  const dead = ops.deadInputs(stage.H!);
  const { U, order, tried } = await inverseFactor(ops, stage.H!, dead, options);
  const P = U && more ? more(ops, U, order) : null;
  const layers: QuantizedLayer[] = [];
  for (const layer of stage.layers) {
    const result = U ? roundLayer(layer, dead, { U, order, P }, options, ops) : roundToNearest(layer.weight, layer.grid, ops, layer.rest);
    layers.push({ ...result, damping: tried, fallback: U ? null : "the Hessian was not positive definite: rounded to nearest" });
    await ops.flush();
    throwIfCancelled(signal);
  }
  ops.free(dead, ...[U, order, P].filter((t) => t !== null));
  return { layers, fold: null };
}

interface InverseFactor {
  /** Upper, UᵀU = (H + λI)⁻¹ with inputs in visiting order; null when no damping made it positive definite. */
  U: Tensor | null;
  order: Tensor | null;
  tried: number[];
}

/** One Cholesky and one triangular inverse: J·H·J = L·Lᵀ gives U = J·L⁻¹·J (J flips both axes), a third of the work of inverting H first. */
async function inverseFactor(ops: Ops, H: Tensor, dead: Tensor, options: MethodOptions): Promise<InverseFactor> {
  const order = options.gptq.actOrder ? visitingOrder(ops, H, dead) : null;
  const { L, tried } = await factorDamped(ops, H, dead, options.gptq.damp, (A) => ops.permuteSquare(A, order, true));
  if (!L) return { U: null, order, tried };
  const inverse = ops.triangularInverse(L);
  const U = ops.permuteSquare(inverse, null, true);
  ops.free(L, inverse);
  return { U, order, tried };
}

/** The order of the columns by descending diagonal of H, where dead inputs count as having the mean of the live ones. */
function visitingOrder(ops: Ops, H: Tensor, dead: Tensor): Tensor {
  const live = ops.damped(H, dead, 0);
  const order = ops.descendingDiagonal(live);
  ops.free(live);
  return order;
}

/** One layer: its grids, then its columns block by block. */
function roundLayer(
  { weight, rest, grid: wanted }: StageLayer,
  dead: Tensor,
  { U, order, P }: { U: Tensor; order: Tensor | null; P: Tensor | null },
  options: MethodOptions,
  ops: Ops,
): { codes: Tensor; grid: Grid } {
  const [out, n] = weight.shape;
  const spec: GridSpec = { ...wanted, mse: options.gptq.mse };
  const live = ops.zeroColumns(weight, dead);
  // The one grid of a whole row is made with the weights of dead inputs too, as in the reference codes.
  const grid = ops.grid(spec.groupSize < 0 ? weight : live, spec, rest);
  const W = order ? ops.gatherColumns(live, order) : live;
  const codes = ops.fromUints(new Uint32Array(out * n), [out, n]);
  const errors = ops.zeros([out, blockColumns]);
  const rounding = { W, U, codes, errors, grid, bits: spec.bits, groupSize: spec.groupSize, order, P };
  const moving = spec.groupSize > 0 && !order;
  // A block of one group sees every error before it: that is what a live grid is.
  const step = moving && options.gptq.groupGrids === "live" ? spec.groupSize : blockColumns;
  for (let from = 0; from < n; from += step) {
    const to = Math.min(from + step, n);
    if (moving) ops.regrid(grid, W, spec, from, to, rest);
    ops.roundColumns(rounding, from, to);
  }
  const inOrder = order ? ops.scatterColumns(codes, order) : codes;
  ops.free(errors, live, ...(order ? [W, codes] : []));
  return { codes: inOrder, grid };
}
