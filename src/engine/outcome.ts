import type { Activation } from "../ops/activations";
import type { Beyond, Coded } from "../quant/coded";
import type { BlockReport, LayerReport } from "../results/report";

/** What a run made of one block: a plain value, complete from the moment it exists. */
export interface BlockOutcome {
  readonly index: number;
  /** Empty for a block that stays as it is. */
  readonly layers: readonly Coded[];
  /** Norm weights and biases that a scale was folded into, by tensor name. */
  readonly replaced: ReadonlyMap<string, Float32Array>;
  /** Which of all these tensors f16 cannot hold. */
  readonly beyondF16: ReadonlyMap<string, Beyond>;
  readonly report: OutcomeReport;
}

export interface OutcomeReport {
  /** Null where nothing was calibrated. */
  readonly block: BlockReport | null;
  readonly layers: readonly LayerReport[];
  readonly ms: number;
  /** The part of `ms` spent on the full-precision stream. */
  readonly streamMs: number;
}

/** Both residual streams after a block, chunk by chunk: all that the next block needs. */
export interface Residuals {
  readonly full: readonly Activation[];
  readonly quantized: readonly Activation[];
}
