import { throwIfCancelled } from "../errors";
import { type Activation, using } from "../ops/activations";
import type { Ops, Tensor } from "../ops/ops";

/** What a stage's inputs are summed to, all [in, in] and over T tokens. X: full precision; Xq: earlier layers quantized. */
export interface Statistics {
  /** (2/T)·XqᵀXq, mirrored; null when not asked for. */
  H: Tensor | null;
  /** (2/T)·(X − Xq)ᵀXq; null when not asked for. */
  C: Tensor | null;
  /** (2/T)·(X − Xq)ᵀ(X − Xq), mirrored; there when C is. */
  drift: Tensor | null;
}

/** Where a stage's inputs come from, chunk by chunk. */
export interface Inputs {
  chunks: number;
  x(c: number): Activation;
  xq(c: number): Activation;
}

/** H and C of one stage (the paper's Ĥ and δX̂ᵀ, scaled by 2/T) over all chunks, with the drift. The caller frees them. */
export async function accumulate(
  ops: Ops,
  inputs: Inputs,
  columns: number,
  tokens: number,
  wanted: { H: boolean; C: boolean },
  signal?: AbortSignal,
): Promise<Statistics> {
  const H = wanted.H ? ops.zeros([columns, columns]) : null;
  const C = wanted.C ? ops.zeros([columns, columns]) : null;
  const drift = wanted.C ? ops.zeros([columns, columns]) : null;
  if (!H && !C) return { H, C, drift };
  for (let c = 0; c < inputs.chunks; c++) {
    await using(inputs.xq(c), async (xq) => {
      if (H) ops.gram(H, xq);
      if (C && drift) await using(inputs.x(c), (x) => addDrift(ops, C, drift, x, xq));
    });
    await ops.flush();
    throwIfCancelled(signal);
  }
  for (const triangle of [H, drift]) if (triangle) ops.mirror(triangle);
  for (const sum of [H, C, drift]) if (sum) ops.scale(sum, 2 / tokens);
  return { H, C, drift };
}

export function freeStatistics(ops: Ops, { H, C, drift }: Statistics): void {
  ops.free(...[H, C, drift].filter((t) => t !== null));
}

function addDrift(ops: Ops, C: Tensor, drift: Tensor, x: Tensor, xq: Tensor): void {
  // Formed first: XᵀXq − H would cancel.
  const difference = ops.add(x, xq, -1);
  ops.crossGram(C, difference, xq);
  ops.gram(drift, difference);
  ops.free(difference);
}
