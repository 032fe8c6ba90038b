import type { Ops, Tensor } from "../ops/ops";
import { type FactorSettings, freeFactor, type InverseFactor, inverseFactor, timesInverse } from "./factor";
import type { LayerPlan } from "./layer-plan";
import { quantizers } from "./registry";

/** The direction of a layer's correction: W*(α) = W + α·D. New tensors. */
export interface Direction {
  /** W [out, in], its dead columns zero. */
  live: Tensor;
  /** D = W·C·(H + λI)⁻¹ [out, in] */
  D: Tensor;
  /** Partial sums [p, 2] of (W·C)·D and D²: what the error's parabola in α is made of. */
  products: Tensor;
}

/** What a stage's layers share when they are corrected. */
export interface Correction {
  /** The direction of the paper's correction of W, whose dead columns are zeroed first. How far to go, α, is the caller's. */
  directionOf(W: Tensor): Direction;
  /** Of H + λI. Without U it was not positive definite with any damping: `directionOf` must not be called, and α is 0 for these layers. */
  readonly factor: InverseFactor;
  free(): void;
}

/**
 * Prepares Quantization Error Propagation for one stage. λ = damp · mean(diag H).
 * @param H (2/T)·XqᵀXq, mirrored. @param C (2/T)·(X − Xq)ᵀXq. Both [in, in], borrowed until `free`.
 */
export async function prepareCorrection(ops: Ops, H: Tensor, C: Tensor, settings: FactorSettings): Promise<Correction> {
  const factor = await inverseFactor(ops, H, settings);
  return {
    factor,
    directionOf(W) {
      const live = ops.zeroColumns(W, factor.dead);
      const WC = ops.matmul(live, C);
      const D = timesInverse(ops, factor, WC);
      const products = ops.innerProducts(WC, D);
      ops.free(WC);
      return { live, D, products };
    },
    free: () => freeFactor(ops, factor),
  };
}

/** The factor that QEP makes for a stage: in the order of the methods that can use it, if their damping is its own. */
export function correctionSettings(layers: readonly LayerPlan[]): FactorSettings {
  const [{ damp }] = layers;
  const wanted = layers.map(({ method, options }) => quantizers[method].factor?.(options));
  return wanted.find((settings) => settings?.damp === damp) ?? { damp, actOrder: false };
}

/**
 * The terms of a layer's error before rounding as a parabola in α: e(α) ∝ tr(W·Gδ·Wᵀ) − 2α·tr(W·C·Dᵀ) + α²·tr(D·H·Dᵀ), with δ = X − Xq and
 * Gδ = (2/T)·δᵀδ. Because D·(H + λI) = W·C, tr(D·H·Dᵀ) = tr(W·C·Dᵀ) − λ·‖D‖².
 * @param drift tr(W·Gδ·Wᵀ). @param product tr(W·C·Dᵀ). @param square ‖D‖².
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
