import { type GridSpec, tensorsOf } from "../ops";
import { dims, isMatrix, isSquare, requireShape } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import { decode, encode, grid } from "./grids";
import { aligned, type Matmul } from "./matmul";
import { isCut } from "./panels";
import { add, copyBlock } from "./rows";

/** How many clipping thresholds are tried, in steps of 1/20 of the largest weight. */
const candidates = 10;

/**
 * AWQ's clip search over whole matrices: for each threshold the clipped weights are rounded, and Σ e G e of every group comes from one batched
 * product of the errors with the diagonal blocks of the gram; a group keeps the first threshold with the least. Nothing is read back.
 */
export function clipSearch(gpu: Gpu, matmul: Matmul, W: GpuTensor, gram: GpuTensor, spec: GridSpec): GpuTensor {
  const [out, n] = W.shape;
  const run = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(isMatrix(W) && isSquare(gram) && gram.shape[0] === n && n % run === 0, "clipSearch", `${dims(W, gram)} in groups of ${run}`);
  const groups = n / run;
  const [least, choice] = [gpu.make([out, groups]), gpu.make([out, groups], "uint")];
  const y = gpu.make(W.shape);
  /** One invocation for each group of each row. */
  const each = (kernel: "clip" | "clipChoice", tensors: GpuTensor[], candidate: number, constants = {}) =>
    gpu.rowwise(tensors, (at, { count }) =>
      gpu.each(kernel, count * groups, { constants, bind: tensors.map(at), u32: [count * groups, run, candidate], work: 10 * count * n }),
    );
  for (let candidate = 0; candidate < candidates; candidate++) {
    each("clip", [W, W, y], candidate);
    const error = roundingError(gpu, W, y, spec);
    const weighed = gpu.make(W.shape);
    weigh(gpu, matmul, error, gram, weighed, run);
    each("clipChoice", [error, weighed, least, choice], candidate);
    gpu.free(error, weighed);
  }
  each("clip", [W, choice, y], 0, { CHOSEN: 1 });
  gpu.free(least, choice);
  return y;
}

/** Each group's columns of the errors times its diagonal block of the gram. */
function weigh(gpu: Gpu, matmul: Matmul, error: GpuTensor, gram: GpuTensor, weighed: GpuTensor, run: number): void {
  const [m, n] = error.shape;
  const shape = { form: "NN", m, n: run, k: run } as const;
  if (![error, gram, weighed].some(isCut)) {
    const batch = { first: 0, count: n / run, heads: n / run, group: 1 };
    const [a, b, c] = [
      { tensor: error, head: run },
      { tensor: gram, head: run * n + run },
      { tensor: weighed, head: run },
    ];
    matmul.run({ ...shape, batch, a, b, c });
    return;
  }
  for (let at = 0; at < n; at += run) {
    const block = { tensor: gram, row: at, column: at };
    // A panel may end within the block: a copy makes one product of it, which rounds as in a batch.
    const copied = 4 * run * run <= gpu.panelLimit ? { tensor: gpu.make([run, run]), row: 0, column: 0 } : null;
    if (copied) copyBlock(gpu, block, copied, run, run);
    const [a, c] = [error, weighed].map((tensor) => ({ tensor, column: at }));
    matmul.run({ ...shape, quads: aligned(block), a, b: copied ?? block, c });
    if (copied) gpu.free(copied.tensor);
  }
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
