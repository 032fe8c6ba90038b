import { type GridSpec, tensorsOf } from "../ops";
import type { Gpu, GpuTensor } from "./gpu";
import { decode, encode, grid } from "./grids";
import type { Matmul } from "./products";
import { add } from "./rows";
import { dims, isMatrix, isSquare, requireShape } from "./shape";

/** Clipping thresholds tried: this many, in steps of 1/20 of the largest weight. */
const candidates = 10;

/**
 * AWQ's clip search over whole matrices: for each threshold the clipped weights are rounded, and Σ e G e of every group comes from one batched
 * product of the errors with the diagonal blocks of the gram; a group keeps the first threshold with the least. Nothing is read back.
 */
export function clipSearch(gpu: Gpu, matmul: Matmul, W: GpuTensor, gram: GpuTensor, spec: GridSpec): GpuTensor {
  const [out, n] = W.shape;
  const run = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(isMatrix(W) && isSquare(gram) && gram.shape[0] === n && n % run === 0, "clipSearch", `${dims(W, gram)} in groups of ${run}`);
  const groups = out * (n / run);
  const [least, choice] = [gpu.make([groups]), gpu.make([groups], "uint")];
  const y = gpu.make(W.shape);
  for (let candidate = 0; candidate < candidates; candidate++) {
    gpu.each("clip", groups, { bind: [W, W, y], u32: [groups, run, candidate], work: 10 * out * n });
    const error = roundingError(gpu, W, y, spec);
    const weighed = gpu.make(W.shape);
    const part = { stride: n, head: run };
    matmul.run({
      ...{ form: "NN", m: out, n: run, k: run, batch: { first: 0, count: n / run, heads: n / run, group: 1 } },
      ...{ a: { tensor: error, ...part }, b: { tensor: gram, stride: n, head: run * n + run }, c: { tensor: weighed, ...part } },
    });
    gpu.each("clipChoice", groups, { bind: [error, weighed, least, choice], u32: [groups, run, candidate], work: 10 * out * n });
    gpu.free(error, weighed);
  }
  gpu.each("clip", groups, { constants: { CHOSEN: 1 }, bind: [W, choice, y], u32: [groups, run, 0], work: 10 * out * n });
  gpu.free(least, choice);
  return y;
}

/** ŵ(trial) − W. */
function roundingError(gpu: Gpu, W: GpuTensor, trial: GpuTensor, spec: GridSpec): GpuTensor {
  const g = grid(gpu, trial, spec);
  const codes = encode(gpu, trial, g, spec.bits);
  const back = decode(gpu, codes, g);
  const error = add(gpu, back, W, -1);
  gpu.free(...tensorsOf(g), codes, back);
  return error;
}
