import { throwIfCancelled } from "../errors";
import type { Ops, Tensor } from "../ops/ops";

export interface Statistics {
  /** (2/T)·XqᵀXq, mirrored; null when not asked for. */
  H: Tensor | null;
  /** (2/T)·(X − Xq)ᵀXq; null when not asked for. */
  C: Tensor | null;
}

/** Where a stage's inputs come from, chunk by chunk. */
export interface Inputs {
  chunks: number;
  x(c: number): Tensor;
  xq(c: number): Tensor;
}

/** Ĥ and δX̂ᵀ of one stage over all chunks (the paper's symbols; ours are H and C). The caller frees them. */
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
  if (!H && !C) return { H, C };
  for (let c = 0; c < inputs.chunks; c++) {
    if (H) ops.gram(H, inputs.xq(c));
    if (C) ops.crossGram(C, inputs.x(c), inputs.xq(c));
    await ops.flush();
    throwIfCancelled(signal);
  }
  if (H) {
    ops.mirror(H);
    ops.scale(H, 2 / tokens);
  }
  if (C) ops.scale(C, 2 / tokens);
  return { H, C };
}
