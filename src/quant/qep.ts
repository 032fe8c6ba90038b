import type { Ops, Tensor } from "../ops/ops";
import { factorDamped } from "./damping";

/** What a stage's layers share when they are corrected: the factor of H + λI and which inputs are dead. */
export interface Correction {
  /** W*(α) = W + α·W·C·(H + λI)⁻¹ [out, in], dead columns zeroed first (the paper’s correction with its strength α). A new tensor. */
  apply(W: Tensor, alpha: number): Tensor;
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
      const corrected = ops.add(live, D, alpha);
      ops.free(live, WC, D);
      return corrected;
    },
    free: () => ops.free(dead, ...(L ? [L] : [])),
  };
}
