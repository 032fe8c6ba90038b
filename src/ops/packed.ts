import { unpackBits } from "./bits";
import { type GridKind, gridKinds } from "./grid-kinds";
import { type Ops, type Tensor, tensorsOf } from "./ops";

/** A quantized matrix on the host: packed codes and their grid; `pointOf` gives ŵ. Exports are made from it, and packed checkpoints are read into it. */
export interface PackedMatrix {
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly bits: number;
  /** Codes of each row as a dense LSB-first bit stream in whole 32-bit words: [out, ⌈in·bits/32⌉]. */
  readonly words: Uint32Array;
  readonly gridKind: GridKind;
  /** S [out, G] */
  readonly scales: Float32Array;
  /** [out, G]: z, 0…2^b − 1, or M. */
  readonly zeros: Uint8Array | Float32Array;
  /** Super-blocks only: (d, dmin) of each, [out, 2·in/256]. */
  readonly factors?: Float32Array;
  /** Group of each input column; absent: equal runs in order. */
  readonly groupOf?: Uint32Array;
  /** Whether ŵ is rounded to f16. It is for packed checkpoints, because every client multiplies their f16 scales in f16; a run's own ŵ is exact. */
  readonly half?: boolean;
}

/** Codes of rows [from, to), one byte each: [to − from, in]. */
export function codesOf({ words, shape: [out, n], bits }: PackedMatrix, from = 0, to = out): Uint8Array {
  const perRow = words.length / out;
  return unpackBits(words.subarray(from * perRow, to * perRow), bits, n, to - from);
}

/** Ŵ on the device, unpacked there. */
export function restore(ops: Ops, { words, shape: [out, n], bits, gridKind, scales, zeros, groupOf, half }: PackedMatrix): Tensor {
  const shape = [out, scales.length / out];
  const packed = ops.fromUints(words, [out, words.length / out]);
  const codes = ops.unpack(packed, bits, n);
  const grid = { kind: gridKind, scales: ops.fromFloats(scales, shape), zeros: ops.fromFloats(zeros, shape) };
  const groups = groupOf && ops.fromUints(groupOf, [n]);
  const W = ops.decode(codes, grid, groups, half);
  ops.free(packed, codes, ...tensorsOf(grid), ...(groups ? [groups] : []));
  return W;
}

/** Rows [from, to) of a matrix whose groups are in order. Shares its arrays. */
export function rowsOf<T extends PackedMatrix>(matrix: T, from: number, to: number): T {
  const [out, n] = matrix.shape;
  const part = <A extends Uint32Array | Uint8Array | Float32Array>(values: A) =>
    values.subarray((values.length / out) * from, (values.length / out) * to) as A;
  const { words, scales, zeros, factors } = matrix;
  const rows = { words: part(words), scales: part(scales), zeros: part(zeros), ...(factors && { factors: part(factors) }) };
  return { ...matrix, ...rows, shape: [to - from, n] };
}

/** Ŵ of some rows, one after the other: [rows, in], in f32 as on the device. */
export const valuesOfRows = (matrix: PackedMatrix, rows: ArrayLike<number>): Float32Array =>
  pointsInto(new Float32Array(rows.length * matrix.shape[1]), matrix, rows);

/** The same in `values`, in f64 where that holds f64. */
export function pointsInto<A extends Float32Array | Float64Array>(values: A, matrix: PackedMatrix, rows: ArrayLike<number>): A {
  const [out, n] = matrix.shape;
  const perRow = matrix.words.length / out;
  const codes = new Uint8Array(n);
  for (let i = 0; i < rows.length; i++) {
    unpackBits(matrix.words.subarray(rows[i] * perRow, (rows[i] + 1) * perRow), matrix.bits, n, 1, codes);
    pointsOfRow(values.subarray(i * n, (i + 1) * n), matrix, rows[i], codes);
  }
  return values;
}

/** As `pointOf` for every code of a row. It takes what is the same for a whole group once: embeddings are gathered so, and they are long. */
function pointsOfRow(
  values: Float32Array | Float64Array,
  { shape, gridKind, scales, zeros }: PackedMatrix,
  row: number,
  codes: Uint8Array,
): void {
  const [out, n] = shape;
  const groups = scales.length / out;
  const isReal = gridKinds[gridKind].zeros === "real";
  for (let g = 0; g < groups; g++) {
    const at = row * groups + g;
    const S = scales[at];
    const z = isReal ? 0 : zeros[at];
    const M = isReal ? zeros[at] : 0;
    const end = Math.ceil(((g + 1) * n) / groups);
    for (let c = Math.ceil((g * n) / groups); c < end; c++) values[c] = S * (codes[c] - z) - M;
  }
}
