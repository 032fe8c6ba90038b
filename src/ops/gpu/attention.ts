import type { AttentionShape } from "../ops";
import type { Gpu, GpuTensor } from "./gpu";
import type { Matmul } from "./products";
import { dims, requireShape, rowsOf } from "./shape";

/** Scores of as many heads as fit in this are in memory at a time. */
const scoreBytes = 64 * 2 ** 20;

/**
 * softmax(q kᵀ / √headDim, causal) v by two batched products round a row softmax, some heads at a time. The scores go through memory; in
 * exchange the matmul kernels do the work, on every adapter and for every head size. Tiles above the diagonal are skipped in both products.
 */
export function attention(gpu: Gpu, matmul: Matmul, q: GpuTensor, k: GpuTensor, v: GpuTensor, shape: AttentionShape): GpuTensor {
  const { heads, kvHeads, headDim, length, slidingWindow } = shape;
  const { rows, columns } = rowsOf(q);
  const fits = rows % length === 0 && columns === heads * headDim && heads % kvHeads === 0 && dims(k) === dims(v);
  requireShape(fits && rowsOf(k).rows === rows && rowsOf(k).columns === kvHeads * headDim, "attention", `${dims(q, k)} and ${dims(v)}`);
  const y = gpu.make(q.shape);
  const total = (rows / length) * heads;
  const stride = Math.ceil(length / 4) * 4;
  const area = length * stride;
  const limit = Math.min(scoreBytes, gpu.device.limits.maxStorageBufferBindingSize, gpu.recorder.budget / headDim);
  const perChunk = Math.max(1, Math.min(total, Math.floor(limit / (4 * area))));
  for (let first = 0; first < total; first += perChunk) {
    const count = Math.min(perChunk, total - first);
    const batch = { first, count, heads, group: heads / kvHeads };
    const scores = gpu.make([count * length, stride]);
    // The scores of batch number `first` lie at 0: the start is negative, which wraps round 2³² and back in the kernel.
    const s = { tensor: scores, start: -first * area, stride, window: heads * area, head: area };
    const full = { stride: columns, window: length * columns, head: headDim };
    const kv = { stride: kvHeads * headDim, window: length * kvHeads * headDim, head: headDim };
    matmul.run({
      ...{ form: "NT", m: length, n: length, k: headDim, part: "lower", alpha: 1 / Math.sqrt(headDim), batch },
      ...{ a: { tensor: q, ...full }, b: { tensor: k, ...kv }, c: s },
    });
    const work = 20 * count * length * length;
    gpu.eachRow("softmax", count * length, { bind: [scores], u32: [count * length, length, stride / 4, slidingWindow], work });
    matmul.run({
      ...{ form: "NN", m: length, n: headDim, k: length, part: "lower-a", batch, padded: true },
      ...{ a: s, b: { tensor: v, ...kv }, c: { tensor: y, ...full } },
    });
    gpu.free(scores);
  }
  return y;
}
