import type { Ops, Tensor } from "../ops/ops";
import { productsWith } from "./sums";

/**
 * Whether ‖W·δ‖² of layers with so many rows, together, is less work as the outputs of δ [tokens, n] than as tr(W·δᵀδ·Wᵀ), of which δᵀδ is one triangle for
 * all of them.
 */
export const byOutputs = (rows: number, n: number, tokens: number): boolean => outputsWork(rows, n, tokens) < gramWork(rows, n, tokens);

const outputsWork = (rows: number, n: number, tokens: number): number => 2 * tokens * n * rows;
const gramWork = (rows: number, n: number, tokens: number): number => tokens * n * n + 2 * rows * n * n;

/** Floating-point operations of the drift. */
export const driftWork = (rows: number, n: number, tokens: number): number =>
  Math.min(outputsWork(rows, n, tokens), gramWork(rows, n, tokens));

/** ‖W·δ‖² of a stage's layers over all tokens, δ = X − Xq: their error if nothing is corrected and nothing rounded. */
export class Drift {
  private readonly G: Tensor | null;
  private readonly partials: Tensor[][];

  /** @param weights [out, n] of the layers. */
  constructor(
    private readonly ops: Ops,
    private readonly weights: readonly Tensor[],
    tokens: number,
  ) {
    const n = weights[0].shape[1];
    const rows = weights.reduce((sum, { shape }) => sum + shape[0], 0);
    this.G = byOutputs(rows, n, tokens) ? null : ops.zeros([n, n]);
    this.partials = weights.map(() => []);
  }

  /** @param difference δ of one chunk. */
  add(difference: Tensor): void {
    const { ops, G } = this;
    if (G) ops.gram(G, difference);
    else
      for (const [i, W] of this.weights.entries()) {
        const y = ops.linear(difference, W);
        this.partials[i].push(ops.innerProducts(y, y));
        ops.free(y);
      }
  }

  /** Of each layer, partial sums [p, 2] whose first column adds up to ‖W·δ‖². The caller frees them. */
  sums(): Tensor[][] {
    const { ops, G } = this;
    if (!G) return this.partials;
    ops.mirror(G);
    const sums = this.weights.map((W) => [productsWith(ops, W, G, W)]);
    ops.free(G);
    return sums;
  }
}
