import type { Ops, Tensor } from "../ops/ops";
import { factorDamped } from "./damping";

/** A corrected layer. */
export interface Corrected {
  /** W*(α) [out, in], a new tensor. */
  weight: Tensor;
  /** What W* lost when it was rounded: the two add up to W + α·D, whose last digits decide on which side of a midpoint a scale falls. New. */
  rest: Tensor;
  /** Partial sums [p, 2] of (W·C)·D and D²: what the error's parabola in α is made of. New. */
  products: Tensor;
}

/** What a stage's layers share when they are corrected: the factor of H + λI and which inputs are dead. */
export interface Correction {
  /** W*(α) = W + α·D, D = W·C·(H + λI)⁻¹ [out, in], dead columns zeroed first (the paper's correction with its strength α). */
  apply(W: Tensor, alpha: number): Corrected;
  /** Damping fractions tried; the last is in use. */
  readonly damping: number[];
  /** False: H + λI was not positive definite at any step, and `apply` must not be called: α is 0 for these layers. */
  readonly solvable: boolean;
  free(): void;
}

/**
 * Prepares Quantization Error Propagation for one stage. λ = damp · mean(diag H).
 * @param H (2/T)·XqᵀXq, mirrored. @param C (2/T)·(X − Xq)ᵀXq. Both [in, in], borrowed until `free`.
 */
export async function prepareCorrection(ops: Ops, H: Tensor, C: Tensor, damp: number): Promise<Correction> {
  const dead = ops.deadInputs(H);
  const { L, tried } = await factorDamped(ops, H, dead, damp);
  return {
    damping: tried,
    solvable: L !== null,
    apply(W, alpha) {
      const live = ops.zeroColumns(W, dead);
      const WC = ops.matmul(live, C);
      const D = ops.solveRight(L!, WC);
      const products = ops.innerProducts(WC, D);
      ops.free(WC);
      const { sum, rest } = ops.addExactly(live, D, alpha);
      ops.free(live, D);
      return { weight: sum, rest, products };
    },
    free: () => ops.free(dead, ...(L ? [L] : [])),
  };
}

/**
 * The parabola's terms from sums over one layer, all with the 2/T of H and C: e(α) ∝ tr(W·Gδ·Wᵀ) − 2α·tr(W·C·Dᵀ) + α²·tr(D·H·Dᵀ), and because
 * D·(H + λI) = W·C, tr(D·H·Dᵀ) = tr(W·C·Dᵀ) − λ·‖D‖². δ = X − Xq, Gδ = (2/T)·δᵀδ.
 * @param scale what turns a sum into a relative error: T / (2·‖WX‖²).
 */
export function alphaCurve(
  drift: number,
  product: number,
  square: number,
  lambda: number,
  scale: number,
): { base: number; slope: number; curvature: number } {
  return { base: scale * drift, slope: scale * product, curvature: scale * Math.max(0, product - lambda * square) };
}
