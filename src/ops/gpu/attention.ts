import type { AttentionShape } from "../ops";
import { dims, requireShape, rowsOf } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import type { Matmul } from "./matmul";
import { isCut } from "./panels";
import { copyBlock } from "./rows";

/** Scores of as many heads as fit in this are in memory at a time. */
const scoreBytes = 64 * 2 ** 20;

/**
 * softmax(q kᵀ / √headDim, causal) v by two batched products round a row softmax, some heads at a time. The scores go through memory; in
 * exchange the matmul kernels do the work, on every adapter and for every head size. Tiles above the diagonal are skipped in both products.
 */
export function attention(gpu: Gpu, matmul: Matmul, q: GpuTensor, k: GpuTensor, v: GpuTensor, shape: AttentionShape): GpuTensor {
  const { heads, kvHeads, headDim, length } = shape;
  const { rows, columns } = rowsOf(q);
  const fits = rows % length === 0 && columns === heads * headDim && heads % kvHeads === 0 && dims(k) === dims(v);
  requireShape(fits && rowsOf(k).rows === rows && rowsOf(k).columns === kvHeads * headDim, "attention", `${dims(q, k)} and ${dims(v)}`);
  const y = gpu.make(q.shape);
  const scoresFit = 4 * length * strideOf(length) <= gpu.panelLimit;
  if (!scoresFit || [q, k, v].some(isCut)) headByHead(gpu, matmul, [q, k, v, y], shape);
  else inBatches(gpu, matmul, [q, k, v, y], shape);
  return y;
}

type Operands = [q: GpuTensor, k: GpuTensor, v: GpuTensor, y: GpuTensor];

/** Columns of a window's scores: whole vectors of four. */
const strideOf = (length: number): number => Math.ceil(length / 4) * 4;

/** Panels may end within a window, so each window's heads are copied out, and their results back. */
function headByHead(gpu: Gpu, matmul: Matmul, [q, k, v, y]: Operands, shape: AttentionShape): void {
  const { heads, kvHeads, headDim, length } = shape;
  const parts = [q, k, v, y].map(() => gpu.make([length, headDim])) as Operands;
  const part = (tensor: GpuTensor) => ({ tensor, row: 0, column: 0 });
  for (let row = 0; row < rowsOf(q).rows; row += length)
    for (let head = 0; head < heads; head++) {
      const columns = head * headDim;
      const kvColumns = Math.floor(head / (heads / kvHeads)) * headDim;
      copyBlock(gpu, { tensor: q, row, column: columns }, part(parts[0]), length, headDim);
      copyBlock(gpu, { tensor: k, row, column: kvColumns }, part(parts[1]), length, headDim);
      copyBlock(gpu, { tensor: v, row, column: kvColumns }, part(parts[2]), length, headDim);
      oneHead(gpu, matmul, parts, shape);
      copyBlock(gpu, part(parts[3]), { tensor: y, row, column: columns }, length, headDim);
    }
  gpu.free(...parts);
}

/** q, k, v and y [length, headDim]; as many queries at a time as have their scores in one panel. */
function oneHead(gpu: Gpu, matmul: Matmul, [q, k, v, y]: Operands, { headDim, length, slidingWindow }: AttentionShape): void {
  const stride = strideOf(length);
  const step = Math.max(1, Math.min(length, Math.floor(Math.min(scoreBytes, gpu.panelLimit) / (4 * stride))));
  for (let first = 0; first < length; first += step) {
    const count = Math.min(step, length - first);
    const keys = first + count;
    const scores = { tensor: gpu.make([count, stride]) };
    const alpha = 1 / Math.sqrt(headDim);
    matmul.run({ form: "NT", m: count, n: keys, k: headDim, alpha, a: { tensor: q, row: first }, b: { tensor: k }, c: scores });
    const u32 = [count, length, stride / 4, slidingWindow, first, stride];
    gpu.eachRow("softmax", count, { bind: [scores.tensor], u32, work: 20 * count * length });
    matmul.run({ form: "NN", m: count, n: headDim, k: keys, padded: true, a: scores, b: { tensor: v }, c: { tensor: y, row: first } });
    gpu.free(scores.tensor);
  }
}

function inBatches(gpu: Gpu, matmul: Matmul, [q, k, v, y]: Operands, shape: AttentionShape): void {
  const { heads, kvHeads, headDim, length, slidingWindow } = shape;
  const { rows, columns } = rowsOf(q);
  const total = (rows / length) * heads;
  const stride = strideOf(length);
  const area = length * stride;
  const limit = Math.min(scoreBytes, gpu.panelLimit, gpu.recorder.budget / headDim);
  const perChunk = Math.max(1, Math.min(total, Math.floor(limit / (4 * area))));
  for (let first = 0; first < total; first += perChunk) {
    const count = Math.min(perChunk, total - first);
    const batch = { first, count, heads, group: heads / kvHeads };
    const scores = gpu.make([count * length, stride]);
    // The scores of batch number `first` lie at 0: the start is negative, which wraps round 2³² and back in the kernel.
    const s = { tensor: scores, row: -first * length, window: heads * area, head: area };
    const full = { window: length * columns, head: headDim };
    const kv = { window: length * kvHeads * headDim, head: headDim };
    matmul.run({
      ...{ form: "NT", m: length, n: length, k: headDim, part: "lower", alpha: 1 / Math.sqrt(headDim), batch },
      ...{ a: { tensor: q, ...full }, b: { tensor: k, ...kv }, c: s },
    });
    const work = 20 * count * length * length;
    gpu.eachRow("softmax", count * length, { bind: [scores], u32: [count * length, length, stride / 4, slidingWindow, 0, 64], work });
    matmul.run({
      ...{ form: "NN", m: length, n: headDim, k: length, part: "lower-a", batch, padded: true },
      ...{ a: s, b: { tensor: v, ...kv }, c: { tensor: y, ...full } },
    });
    gpu.free(scores);
  }
}
