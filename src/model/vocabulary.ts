import { letCancelIn } from "../io/turn";
import type { FloatDtype, Ops, Tensor } from "../ops/ops";
import { type PackedMatrix, valuesOfRows } from "../ops/packed";
import type { Model } from "./checkpoint";
import { embeddingName } from "./layers";

/**
 * Rows of the embedding table for the ids of each chunk: [T, hidden], in the bytes of the file's dtype. The table is read once for all chunks, in slices;
 * slices that hold none of the ids are skipped.
 * @throws QuantError `cancelled`.
 */
export async function embeddingRows(model: Model, chunks: readonly ArrayLike<number>[], signal?: AbortSignal): Promise<Uint8Array[]> {
  const rowBytes = embeddingRowBytes(model);
  const rows = chunks.map((ids) => new Uint8Array(ids.length * rowBytes));
  for (const { from, to } of slices(model.spec.vocabulary, rowBytes)) {
    const isHere = (id: number) => id >= from && id < to;
    if (!chunks.some((ids) => Array.prototype.some.call(ids, isHere))) continue;
    const bytes = await model.shards.readTensor(embeddingName, { from, to });
    for (const [c, ids] of chunks.entries())
      for (let t = 0; t < ids.length; t++)
        if (isHere(ids[t])) rows[c].set(bytes.subarray((ids[t] - from) * rowBytes, (ids[t] - from + 1) * rowBytes), t * rowBytes);
    await letCancelIn(signal);
  }
  return rows;
}

/** Bytes of a row of the embedding table in the file's dtype. */
export function embeddingRowBytes({ shards, spec }: Model): number {
  const { start, end } = shards.tensors.get(embeddingName)!;
  return (end - start) / spec.vocabulary;
}

/** The residual stream before block 0, h [T, hidden], from rows of the embedding table. */
export function embedded(ops: Ops, model: Model, rows: Uint8Array): Tensor {
  const { dtype } = model.shards.tensors.get(embeddingName)!;
  return ops.fromBytes(rows, dtype as FloatDtype, [rows.length / embeddingRowBytes(model), model.spec.hidden]);
}

/** The same from a table that a run rounded. */
export const embeddedFrom = (ops: Ops, table: PackedMatrix, ids: ArrayLike<number>): Tensor =>
  ops.fromFloats(valuesOfRows(table, ids), [ids.length, table.shape[1]]);

const sliceBytes = 32 * 2 ** 20;

/** Rows from … to − 1. */
export interface Rows {
  from: number;
  to: number;
}

/** Ranges of at most `bytes` and `most` rows, so that the embeddings and head of a large vocabulary are never in memory whole. */
export function* slices(rows: number, rowBytes: number, bytes = sliceBytes, most = rows): Generator<Rows> {
  const step = Math.max(1, Math.min(most, Math.floor(bytes / rowBytes)));
  for (let from = 0; from < rows; from += step) yield { from, to: Math.min(rows, from + step) };
}
