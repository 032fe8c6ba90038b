import { QuantError, throwIfCancelled } from "../errors";
import type { FloatDtype, Ops, Tensor } from "../ops/ops";
import { loadTensor, type Model } from "./checkpoint";
import { embeddingName, finalNormName, headName } from "./layers";

/** Rows of the embedding table for each id, gathered on the host from slices of the file: h of block 0, [T, hidden]. */
export async function embed(ops: Ops, model: Model, ids: ArrayLike<number>): Promise<Tensor> {
  const info = model.shards.tensors.get(embeddingName)!;
  const rowBytes = (info.end - info.start) / model.spec.vocabulary;
  const out = new Uint8Array(ids.length * rowBytes);
  for (const { from, to } of slices(model.spec.vocabulary, rowBytes)) {
    const bytes = await model.shards.readTensor(embeddingName, { from, to });
    for (let t = 0; t < ids.length; t++)
      if (ids[t] >= from && ids[t] < to) out.set(bytes.subarray((ids[t] - from) * rowBytes, (ids[t] - from + 1) * rowBytes), t * rowBytes);
  }
  return ops.fromBytes(out, info.dtype as FloatDtype, [ids.length, model.spec.hidden]);
}

const sliceBytes = 32 * 2 ** 20;

/** Row ranges of at most 32 MiB: embedding and head of a large vocabulary never stand in memory whole. */
function* slices(rows: number, rowBytes: number): Generator<{ from: number; to: number }> {
  const step = Math.max(1, Math.floor(sliceBytes / rowBytes));
  for (let from = 0; from < rows; from += step) yield { from, to: Math.min(rows, from + step) };
}

const noTarget = 0xffffffff;

/**
 * Negative log-likelihood of the id that follows each position, one array a chunk; NaN at the last position of a window. `chunks` are the last
 * block's h. The head is read in slices of the vocabulary, one slice for all chunks, logits in chunks of rows.
 * @throws QuantError `non-finite-activations`.
 */
export async function tokenLosses(
  ops: Ops,
  model: Model,
  chunks: readonly { h: Tensor; ids: Int32Array }[],
  length: number,
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const norm = await loadTensor(ops, model, finalNormName);
  const states = chunks.map(({ h, ids }) => ({
    x: ops.rmsNorm(h, norm, model.spec.eps),
    state: ops.crossEntropyStart(ids.length),
    targets: ops.fromUints(nextIds(ids, length), [ids.length]),
  }));
  const name = model.spec.tied ? embeddingName : headName;
  for (const rows of slices(model.spec.vocabulary, model.spec.hidden * 4)) {
    const head = await loadTensor(ops, model, name, rows);
    for (const { x, state, targets } of states) {
      const logits = ops.linear(x, head);
      ops.crossEntropyUpdate(state, logits, targets, rows.from);
      ops.free(logits);
      await ops.flush();
      throwIfCancelled(signal);
    }
    ops.free(head);
  }
  const values = await ops.read(states.map((s) => s.state));
  ops.free(norm, ...states.flatMap((s) => [s.x, s.state, s.targets]));
  return values.map((rows) => lossesOf(rows, length));
}

/** Σ of the losses of positions 1… of every window, and how many there are. */
export async function negativeLogLikelihood(...args: Parameters<typeof tokenLosses>): Promise<{ sum: number; count: number }> {
  const total = { sum: 0, count: 0 };
  for (const losses of await tokenLosses(...args))
    for (const loss of losses)
      if (!Number.isNaN(loss)) {
        total.sum += loss;
        total.count++;
      }
  return total;
}

/** The id each position must predict; the last of a window predicts nothing. */
function nextIds(ids: Int32Array, length: number): Uint32Array {
  return Uint32Array.from(ids, (_, t) => ((t + 1) % length === 0 ? noTarget : ids[t + 1]));
}

function lossesOf(rows: ArrayLike<number>, length: number): Float64Array {
  return Float64Array.from({ length: rows.length / 3 }, (_, t) => {
    if ((t + 1) % length === 0) return Number.NaN;
    const loss = rows[3 * t] + Math.log(rows[3 * t + 1]) - rows[3 * t + 2];
    if (!Number.isFinite(loss)) throw new QuantError("non-finite-activations", "the logits", "The model cannot be evaluated.");
    return loss;
  });
}
