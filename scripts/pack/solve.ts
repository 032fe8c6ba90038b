/** QEP's solve, D = W·C·(H + λI)⁻¹, factor included, against a plain product of its shape. */
import type { Ops, Tensor } from "../../src/ops/ops";
import { freeFactor, inverseFactor } from "../../src/quant/factor";
import { crossed, directionOf } from "../../src/quant/qep";
import { values } from "./check";
import { percent, rate, secondsOf } from "./timing";
import type { Teller } from "./types";

const damp = 0.01;

export interface SolveTimes {
  /** Operations a second of the solve (`solveWork`). */
  solve: number;
  /** Of one product [m, n] · [n, n]. */
  product: number;
  /** ‖D·(H + λI) − W·C‖ / ‖W·C‖ of some rows, in float64. */
  residual: number;
}

/** H and C of made-up inputs and of inputs a little off: as (2/T)·XqᵀXq and (2/T)·(X − Xq)ᵀXq. */
export function statistics(ops: Ops, n: number, tokens = n + 64) {
  const xq = ops.fromFloats(values(3, [tokens, n]), [tokens, n]);
  const drift = ops.fromFloats(
    values(4, [tokens, n]).map((v) => v / 16),
    [tokens, n],
  );
  const [H, C] = [ops.zeros([n, n]), ops.zeros([n, n])];
  ops.gram(H, xq);
  ops.mirror(H);
  ops.crossGram(C, drift, xq);
  for (const sum of [H, C]) ops.scale(sum, 2 / tokens);
  ops.free(xq, drift);
  return { H, C };
}

/** Factor and direction, as a stage of one layer makes them. */
export async function solve(ops: Ops, H: Tensor, C: Tensor, W: Tensor): Promise<{ D: Tensor; tried: number[] }> {
  const factor = await inverseFactor(ops, H, { damp, actOrder: false });
  const { live, D, products } = directionOf(ops, W, crossed(ops, W, C, factor.dead), factor);
  ops.free(live, products);
  freeFactor(ops, factor);
  return { D, tried: factor.tried };
}

/** Operations, 2 a multiply-add: ⅓·n³ for Cholesky, ⅓·n³ for the triangle's inverse, 2·m·n² for W·C, and m·n² for each of two products with a triangle. */
export const solveWork = (n: number, m: number): number => (2 / 3) * n ** 3 + 4 * m * n * n;

/** @param m rows of the layer. */
export async function timeSolve(ops: Ops, n: number, m: number): Promise<SolveTimes> {
  const scope = ops.scope();
  try {
    const { H, C } = statistics(ops, n);
    const w = values(5, [m, n]);
    const W = ops.fromFloats(w, [m, n]);
    const product = await secondsOf(ops, () => ops.free(ops.matmul(W, C)));
    const seconds = await secondsOf(ops, async () => ops.free((await solve(ops, H, C, W)).D));
    const { D, tried } = await solve(ops, H, C, W);
    const [d, h, c] = await ops.read([D, H, C]);
    const residual = worstResidual({ n, m, w, d, h, c, damp: tried.at(-1)! });
    return { solve: solveWork(n, m) / seconds, product: (2 * m * n * n) / product, residual };
  } finally {
    scope.end();
  }
}

interface Solved {
  n: number;
  m: number;
  w: ArrayLike<number>;
  d: ArrayLike<number>;
  h: ArrayLike<number>;
  c: ArrayLike<number>;
  damp: number;
}

/** ‖D·(H + λI) − W·C‖ / ‖W·C‖ of the worst of three rows, in float64. */
export function worstResidual({ n, m, w, d, h, c, damp: fraction }: Solved): number {
  let trace = 0;
  for (let j = 0; j < n; j++) trace += h[j * n + j];
  const lambda = (fraction * trace) / n;
  let worst = 0;
  for (const row of [0, m >> 1, m - 1]) {
    const left = new Float64Array(n);
    const right = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      const [x, y] = [d[row * n + k], w[row * n + k]];
      for (let j = 0; j < n; j++) {
        left[j] += x * h[k * n + j];
        right[j] += y * c[k * n + j];
      }
      left[k] += lambda * x;
    }
    const norm = (of: (j: number) => number) => Math.sqrt(left.reduce((sum, _, j) => sum + of(j) ** 2, 0));
    worst = Math.max(worst, norm((j) => left[j] - right[j]) / norm((j) => right[j]));
  }
  return worst;
}

/** What float32 may leave: the condition of (1 + √(n/tokens))²/damp, times some √n roundings. */
export const mostResidual = (n: number, tokens = n): number => ((1 + Math.sqrt(n / tokens)) ** 2 / damp) * Math.sqrt(n) * 2 ** -22;

export async function solveRows(ops: Ops, n: number, m: number, tell: Teller): Promise<void> {
  const what = `W·C·(H + λI)⁻¹, ${m} × ${n}`;
  tell.doing(what);
  const { solve, product, residual } = await timeSolve(ops, n, m);
  const share = solve / product;
  const measured = `${rate(solve)}, ${percent(share)} of the adapter's ${rate(product)} for W·C alone`;
  const why = `factor included; residual ${residual.toExponential(1)}`;
  tell.row({ what, measured, goal: "≥ 60 %", met: share >= 0.6, why });
  if (!(residual <= mostResidual(n))) tell.failed(`${what}: the residual is ${residual}, over ${mostResidual(n).toExponential(1)}`);
}
