import { throwIfCancelled } from "../errors";
import type { Ops, Tensor } from "../ops/ops";

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
  const drift = wanted.C ? ops.zeros([columns, columns]) : null;
  if (!H && !C) return { H, C, drift };
  for (let c = 0; c < inputs.chunks; c++) {
    if (H) ops.gram(H, inputs.xq(c));
    if (C) ops.crossGram(C, inputs.x(c), inputs.xq(c));
    if (drift) addDrift(ops, drift, inputs, c);
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

function addDrift(ops: Ops, drift: Tensor, inputs: Inputs, c: number): void {
  const difference = ops.add(inputs.x(c), inputs.xq(c), -1);
  ops.gram(drift, difference);
  ops.free(difference);
}
