import { QuantError } from "../../errors";
import { elements, leastRows, type Tensor } from "../ops";
import type { PoolBuffer } from "./pool";

/**
 * A tensor as row panels: rows 0 … rowsPerPanel − 1 in the first buffer, the next as many in the second. What one binding can hold is one
 * panel. Shapes of equal rows and columns are always cut alike.
 */
export interface GpuTensor extends Tensor {
  readonly rowsPerPanel: number;
  readonly panels: readonly PoolBuffer[];
}

/** Bytes of a buffer as a kernel sees them. Sizes are rounded up to 16, so that the last vector of four is whole. */
export interface Slice {
  readonly tensor: GpuTensor;
  readonly storage: PoolBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Rows first … first + count − 1. */
export interface RowRange {
  first: number;
  count: number;
}

/**
 * Rows that a Gram sum takes at a time. Panels begin at multiples of it where so many rows fit, so that cutting changes no digit of the sum;
 * and always at multiples of `leastRows`, which makes their offsets in other bindings multiples of 256 bytes, as WebGPU wants them.
 */
export const rowsPerSum = 512;

/** A tensor's first dimension, and the elements of one step of it. */
export function panelShape(shape: readonly number[]): { rows: number; columns: number } {
  const rows = shape[0] ?? 1;
  return { rows, columns: rows === 0 ? 0 : elements(shape) / rows };
}

/**
 * Rows of one panel: all of them where they fit, else as many as do, in multiples of a power of two between 64 and 512.
 * @param allowed bytes of one binding. @throws QuantError `gpu-limit` where not even 64 rows fit.
 */
export function rowsPerPanel(shape: readonly number[], allowed: number): number {
  const { rows, columns } = panelShape(shape);
  if (padded(rows * columns) <= allowed) return Math.max(rows, 1);
  const most = Math.floor(allowed / (4 * columns));
  for (let step = rowsPerSum; step >= leastRows; step /= 2) if (most >= step) return most - (most % step);
  throw new QuantError(
    "gpu-limit",
    `${Math.min(rows, leastRows)} rows of a tensor of ${shape.join(" × ")} are more than the ${kibibytes(allowed)} that this GPU binds at once`,
    "Use a GPU or driver with larger limits, or the command line with --cpu.",
  );
}

const kibibytes = (bytes: number): string => `${Math.floor(bytes / 1024).toLocaleString("en")} KiB`;

/** Bytes of so many elements, a whole vector of four at least. */
export const padded = (count: number): number => Math.max(16, Math.ceil(count / 4) * 16);

/** Bytes of each panel. */
export function panelBytes(shape: readonly number[], perPanel: number): number[] {
  const { rows, columns } = panelShape(shape);
  const sizes: number[] = [];
  for (let first = 0; first === 0 || first < rows; first += perPanel) sizes.push(padded(Math.min(perPanel, rows - first) * columns));
  return sizes;
}

export const isCut = (t: GpuTensor): boolean => t.panels.length > 1;

/** Rows first … first + count − 1, which lie in one panel; `first` is a panel's first row in some tensor. */
export function slice(tensor: GpuTensor, { first, count }: RowRange): Slice {
  const { columns } = panelShape(tensor.shape);
  const number = Math.floor(first / tensor.rowsPerPanel);
  const storage = tensor.panels[number];
  const offset = 4 * columns * (first - number * tensor.rowsPerPanel);
  return { tensor, storage, offset, bytes: padded(count * columns) };
}

/** A tensor that is not cut. @throws QuantError `internal` for one that is. */
export function whole(tensor: GpuTensor): Slice {
  if (isCut(tensor))
    throw new QuantError("internal", `a tensor of ${tensor.shape.join(" × ")} in ${tensor.panels.length} panels was bound whole`);
  return { tensor, storage: tensor.panels[0], offset: 0, bytes: padded(elements(tensor.shape)) };
}

/** The panel that holds a row, and the row's number in it. */
export function panelOf(tensor: GpuTensor, row: number): { panel: Slice; row: number; rows: RowRange } {
  const first = row - (row % tensor.rowsPerPanel);
  const rows = { first, count: Math.min(tensor.rowsPerPanel, panelShape(tensor.shape).rows - first) };
  return { panel: slice(tensor, rows), row: row - first, rows };
}

/** All rows in runs that lie in one panel of each of the tensors, which have the same number of rows. */
export function* rowRuns(...tensors: readonly GpuTensor[]): Generator<RowRange> {
  const { rows } = panelShape(tensors[0].shape);
  yield* between(
    tensors.flatMap((t) => boundaries(t, 0, rows)),
    rows,
  );
}

/** First rows of panels that lie in rows `from` … `to` − 1, seen from row `from` of the tensor. */
export function boundaries(t: GpuTensor, from: number, to: number): number[] {
  if (!isCut(t)) return [];
  const found: number[] = [];
  for (let at = Math.ceil((from + 1) / t.rowsPerPanel) * t.rowsPerPanel; at < to; at += t.rowsPerPanel) found.push(at - from);
  return found;
}

/** The ranges between cuts, from 0 to `end`. Cuts come in any order and may repeat. */
export function* between(cuts: readonly number[], end: number): Generator<RowRange> {
  let first = 0;
  for (const cut of [...cuts, end].sort((a, b) => a - b)) {
    if (cut > first) yield { first, count: cut - first };
    first = cut;
  }
}
