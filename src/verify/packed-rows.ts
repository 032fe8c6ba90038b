import { pointOf } from "../ops/grid-kinds";
import { codesOf, type PackedMatrix } from "../ops/packed";
import type { Rows } from "../reopen/rows";

/** How codes and zeros could be meant otherwise than a file says. */
export interface Meant {
  /** Added to every zero, modulo 2^bits. */
  readonly zeroShift?: number;
  /** Inputs are in groups as if there were no g_idx. */
  readonly inOrder?: boolean;
  /** The row whose codes and zeros stand where row r's are looked for; scales stay where they are. */
  rowOf?(r: number): number;
}

/** A packed matrix' ŵ, before clients round it to f16, some rows at a time. */
export function packedRows(matrix: PackedMatrix, { zeroShift = 0, inOrder = false, rowOf }: Meant = {}): Rows {
  const [out, n] = matrix.shape;
  const { gridKind, scales, zeros, bits } = matrix;
  const groups = scales.length / out;
  const groupOf = groupsOf(matrix, inOrder);
  const [S, M] = [new Float64Array(groups), new Float64Array(groups)];
  return async (from, to) => {
    const values = new Float32Array((to - from) * n);
    const together = rowOf ? null : codesOf(matrix, from, to);
    for (let r = from; r < to; r++) {
      const source = rowOf ? rowOf(r) : r;
      const codes = together ? together.subarray((r - from) * n, (r - from + 1) * n) : codesOf(matrix, source, source + 1);
      for (let g = 0; g < groups; g++) {
        const zero = zeros[source * groups + g];
        S[g] = scales[r * groups + g];
        M[g] = -pointOf(gridKind, S[g], zeroShift ? (zero + zeroShift + 2 ** bits) % 2 ** bits : zero, 0);
      }
      const at = (r - from) * n;
      for (let c = 0; c < n; c++) values[at + c] = S[groupOf[c]] * codes[c] - M[groupOf[c]];
    }
    return values;
  };
}

/** The group of every input. */
function groupsOf({ shape: [out, n], scales, groupOf }: PackedMatrix, inOrder: boolean): Uint32Array {
  const groups = scales.length / out;
  if (groupOf && !inOrder) return groupOf;
  return Uint32Array.from({ length: n }, (_, c) => Math.floor((c * groups) / n));
}

/** The mean of code − z over a sample of a matrix with integer zeros: about 0 for weights whose mean is far less than their spread. */
export function meanStep(matrix: PackedMatrix): number {
  const [out, n] = matrix.shape;
  const groups = matrix.scales.length / out;
  const groupOf = groupsOf(matrix, false);
  const rows = Math.min(out, 64);
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    const r = Math.floor((i * out) / rows);
    const codes = codesOf(matrix, r, r + 1);
    for (let c = 0; c < n; c++) sum += codes[c] - matrix.zeros[r * groups + groupOf[c]];
  }
  return sum / (rows * n);
}
