import type { Ops, Tensor } from "../ops/ops";
import { type InverseFactor, timesInverse, type WantedFactor } from "./factor";
import type { LayerPlan } from "./layer-plan";
import { quantizers } from "./registry";

/** The direction of a layer's correction: W*(α) = W + α·D. New tensors. How far to go, α, is the caller's. */
export interface Direction {
  /** W [out, in], its dead columns zero. */
  live: Tensor;
  /** D = W·C·(H + λI)⁻¹ [out, in] */
  D: Tensor;
  /** Partial sums [p, 2] of (W·C)·D and D²: what the error's parabola in α is made of. */
  products: Tensor;
}

/** W·C [out, in], W's dead columns zeroed: what a correction asks of H + λI. @param C (2/T)·(X − Xq)ᵀXq. @param dead of H. */
export function crossed(ops: Ops, W: Tensor, C: Tensor, dead: Tensor): Tensor {
  const live = ops.zeroColumns(W, dead);
  const WC = ops.matmul(live, C);
  ops.free(live);
  return WC;
}

/** The paper's correction (Quantization Error Propagation, Prop. 5.1) of one layer. @param WC see `crossed`; used up. @param factor with its U. */
export function directionOf(ops: Ops, W: Tensor, WC: Tensor, factor: InverseFactor): Direction {
  const D = timesInverse(ops, factor, WC);
  const products = ops.innerProducts(WC, D);
  ops.free(WC);
  return { live: ops.zeroColumns(W, factor.dead), D, products };
}

/** The factor that QEP makes for a stage: in the order of the methods that can use it, if their damping is its own. */
export function correctionFactor(layers: readonly LayerPlan[]): WantedFactor {
  const [{ damp }] = layers;
  const wanted = layers.map(({ method, options }) => quantizers[method].factor?.(options));
  return wanted.find((settings) => settings?.damp === damp) ?? { damp, actOrder: false };
}

/**
 * The terms of a layer's error before rounding as a parabola in α: e(α) ∝ ‖W·δ‖² − 2α·tr(W·C·Dᵀ) + α²·tr(D·H·Dᵀ), with δ = X − Xq. Because
 * D·(H + λI) = W·C, tr(D·H·Dᵀ) = tr(W·C·Dᵀ) − λ·‖D‖².
 * @param drift ‖W·δ‖² over all tokens. @param product tr(W·C·Dᵀ). @param square ‖D‖². @param scale T/2, which undoes that of C and H.
 */
export function alphaCurve(
  drift: number,
  product: number,
  square: number,
  lambda: number,
  scale: number,
): { base: number; slope: number; curvature: number } {
  return { base: drift, slope: scale * product, curvature: scale * Math.max(0, product - lambda * square) };
}
