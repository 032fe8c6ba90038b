import { QuantError, throwIfCancelled } from "../errors";
import { type Activation, type Activations, using } from "../ops/activations";
import { type FloatDtype, mostColumns, type Ops, type Tensor } from "../ops/ops";
import { type PackedMatrix, restore, rowsOf, valuesOfRows } from "../ops/packed";
import { loadTensor, type Model } from "./checkpoint";
import { embeddingName, finalNormName, headName } from "./layers";
import type { ModelSpec } from "./spec";

/**
 * Rows of the embedding table for the ids of each chunk: [T, hidden], in the bytes of the file's dtype. The table is read once for all chunks, in slices;
 * slices that hold none of the ids are skipped.
 */
export async function embeddingRows(model: Model, chunks: readonly ArrayLike<number>[]): Promise<Uint8Array[]> {
  const info = model.shards.tensors.get(embeddingName)!;
  const rowBytes = (info.end - info.start) / model.spec.vocabulary;
  const rows = chunks.map((ids) => new Uint8Array(ids.length * rowBytes));
  for (const { from, to } of slices(model.spec.vocabulary, rowBytes)) {
    const isHere = (id: number) => id >= from && id < to;
    if (!chunks.some((ids) => Array.prototype.some.call(ids, isHere))) continue;
    const bytes = await model.shards.readTensor(embeddingName, { from, to });
    for (const [c, ids] of chunks.entries())
      for (let t = 0; t < ids.length; t++)
        if (isHere(ids[t])) rows[c].set(bytes.subarray((ids[t] - from) * rowBytes, (ids[t] - from + 1) * rowBytes), t * rowBytes);
  }
  return rows;
}

/** The residual stream before block 0, h [T, hidden], from rows of the embedding table. */
export function embedded(ops: Ops, model: Model, rows: Uint8Array): Tensor {
  const { dtype, start, end } = model.shards.tensors.get(embeddingName)!;
  const rowBytes = (end - start) / model.spec.vocabulary;
  return ops.fromBytes(rows, dtype as FloatDtype, [rows.length / rowBytes, model.spec.hidden]);
}

/** The same from a table that a run rounded. */
export const embeddedFrom = (ops: Ops, table: PackedMatrix, ids: ArrayLike<number>): Tensor =>
  ops.fromFloats(valuesOfRows(table, ids), [ids.length, table.shape[1]]);

const sliceBytes = 32 * 2 ** 20;

/** Ranges of at most `bytes` and `most` rows, so that the embeddings and head of a large vocabulary are never in memory whole. */
export function* slices(rows: number, rowBytes: number, bytes = sliceBytes, most = rows): Generator<{ from: number; to: number }> {
  const step = Math.max(1, Math.min(most, Math.floor(bytes / rowBytes)));
  for (let from = 0; from < rows; from += step) yield { from, to: Math.min(rows, from + step) };
}

/** The most that a slice of the head and a chunk's logits for it take on the device together, in bytes. @param chunk tokens of the largest chunk. */
export const headBytes = ({ vocabulary, hidden }: ModelSpec, chunk: number): number =>
  2 * Math.min(sliceBytes, 4 * vocabulary * Math.max(hidden, chunk));

const noTarget = 0xffffffff;

/** The residual stream after the last block, for one chunk of windows. */
export interface LastChunk {
  h: Activation;
  ids: Int32Array;
  /** Tokens of a window. */
  length: number;
}

/**
 * Negative log-likelihood (in nats) of the id that follows each position, one array per chunk; NaN at the last position of a window.
 * The head is read in slices of the vocabulary, each once for all chunks; neither a slice nor a chunk's logits for it take more than `bytes`.
 * @param rounded the head as a run rounded it; null: the checkpoint's.
 * @throws QuantError `non-finite-activations`.
 */
export async function tokenLosses(
  activations: Activations,
  model: Model,
  chunks: readonly LastChunk[],
  rounded: PackedMatrix | null = null,
  signal?: AbortSignal,
  bytes = sliceBytes,
): Promise<Float64Array[]> {
  const { ops } = activations;
  const norm = await loadTensor(ops, model, finalNormName);
  const states: { x: Activation; state: Tensor; targets: Tensor }[] = [];
  for (const { h, ids, length } of chunks)
    states.push({
      x: await activations.hold(await using(h, (tensor) => ops.rmsNorm(tensor, norm, model.spec.eps))),
      state: ops.crossEntropyStart(ids.length),
      targets: ops.fromUints(nextIds(ids, length), [ids.length]),
    });
  const name = model.spec.tied ? embeddingName : headName;
  const longest = chunks.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  for (const rows of slices(model.spec.vocabulary, Math.max(model.spec.hidden, longest) * 4, bytes, mostColumns(ops.adapter))) {
    const head = rounded ? restore(ops, rowsOf(rounded, rows.from, rows.to)) : await loadTensor(ops, model, name, rows);
    for (const { x, state, targets } of states) {
      const logits = await using(x, (tensor) => ops.linear(tensor, head));
      ops.crossEntropyUpdate(state, logits, targets, rows.from);
      ops.free(logits);
      await ops.flush();
      throwIfCancelled(signal);
    }
    ops.free(head);
  }
  const values = await ops.read(states.map((s) => s.state));
  ops.free(norm, ...states.flatMap((s) => [s.state, s.targets]));
  for (const { x } of states) x.free();
  return values.map((rows, c) => rowLosses(rows, chunks[c].length));
}

/** The id each position must predict; the last of a window predicts nothing. */
function nextIds(ids: Int32Array, length: number): Uint32Array {
  return Uint32Array.from(ids, (_, t) => ((t + 1) % length === 0 ? noTarget : ids[t + 1]));
}

function rowLosses(rows: ArrayLike<number>, length: number): Float64Array {
  return Float64Array.from({ length: rows.length / 3 }, (_, t) => {
    if ((t + 1) % length === 0) return Number.NaN;
    const loss = rows[3 * t] + Math.log(rows[3 * t + 1]) - rows[3 * t + 2];
    if (!Number.isFinite(loss)) throw new QuantError("non-finite-activations", "the logits", "The model cannot be evaluated.");
    return loss;
  });
}
