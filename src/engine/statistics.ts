import { throwIfCancelled } from "../errors";
import { type Activation, using } from "../ops/activations";
import type { Ops, Tensor } from "../ops/ops";
import { Drift } from "./drift";

/** What a stage's inputs are summed to, over T tokens. X: full precision; Xq: earlier layers quantized. */
export interface Statistics {
  /** (2/T)·XqᵀXq [in, in], mirrored; null when not asked for. */
  H: Tensor | null;
  /** (2/T)·(X − Xq)ᵀXq [in, in]; null when not asked for. */
  C: Tensor | null;
  /** Of each layer, partial sums whose first column adds up to ‖W·(X − Xq)‖²; there when C is. */
  drifts: Tensor[][] | null;
}

/** Where a stage's inputs come from, chunk by chunk. */
export interface Inputs {
  chunks: number;
  x(c: number): Activation;
  xq(c: number): Activation;
}

/**
 * H and C of one stage (the paper's Ĥ and δX̂ᵀ, scaled by 2/T) over all chunks, and how far the inputs have drifted. The caller frees them.
 * @param weights [out, in] of the stage's layers.
 */
export async function accumulate(
  ops: Ops,
  inputs: Inputs,
  weights: readonly Tensor[],
  tokens: number,
  wanted: { H: boolean; C: boolean },
  signal?: AbortSignal,
): Promise<Statistics> {
  const columns = weights[0].shape[1];
  const H = wanted.H ? ops.zeros([columns, columns]) : null;
  const C = wanted.C ? ops.zeros([columns, columns]) : null;
  const drift = wanted.C ? new Drift(ops, weights, tokens) : null;
  if (!H && !C) return { H, C, drifts: null };
  for (let c = 0; c < inputs.chunks; c++) {
    await using(inputs.xq(c), async (xq) => {
      if (H) ops.gram(H, xq);
      if (C && drift) await using(inputs.x(c), (x) => addDifference(ops, C, drift, x, xq));
    });
    await ops.flush();
    throwIfCancelled(signal);
  }
  if (H) ops.mirror(H);
  for (const sum of [H, C]) if (sum) ops.scale(sum, 2 / tokens);
  return { H, C, drifts: drift?.sums() ?? null };
}

function addDifference(ops: Ops, C: Tensor, drift: Drift, x: Tensor, xq: Tensor): void {
  // Formed first: XᵀXq − H would cancel.
  const difference = ops.add(x, xq, -1);
  ops.crossGram(C, difference, xq);
  drift.add(difference);
  ops.free(difference);
}
