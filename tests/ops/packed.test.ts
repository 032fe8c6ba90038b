import { expect, test } from "vitest";
import { packBits } from "../../src/ops/bits";
import { type GridKind, pointOf } from "../../src/ops/grid-kinds";
import { codesOf, type PackedMatrix, valuesOfRows } from "../../src/ops/packed";

const [out, n] = [5, 96];

/** Rows of 96 codes, whose groups need not be a power of two. */
function matrix(gridKind: GridKind, bits: number, groups: number): PackedMatrix {
  const rows = Array.from({ length: out }, (_, r) => [
    ...packBits(
      Uint8Array.from({ length: n }, (_, c) => (r * 31 + c * c) % 2 ** bits),
      bits,
    ),
  ]);
  const scales = Float32Array.from({ length: out * groups }, (_, i) => Math.fround((i % 3 ? 1 : -1) * (0.1 + i / 7)));
  const real = Float32Array.from({ length: out * groups }, (_, i) => i / 3 - 1);
  const zeros = gridKind === "integer-zero" ? Uint8Array.from({ length: out * groups }, (_, i) => i % 2 ** bits) : real;
  return { shape: [out, n], bits, words: Uint32Array.from(rows.flat()), gridKind, scales, zeros };
}

test.each<[GridKind, number, number]>([
  ["integer-zero", 4, 3],
  ["integer-zero", 3, 1],
  ["real-zero", 2, 4],
  ["signed", 8, 3],
  ["q4_k", 4, 3],
  ["q6_k", 6, 6],
])("values of chosen rows are the points of their codes, to the bit: %s, %i bits, %i groups", (gridKind, bits, groups) => {
  const table = matrix(gridKind, bits, groups);
  const rows = [3, 0, 4, 3, 3];
  const want = rows.flatMap((r) =>
    Array.from(codesOf(table, r, r + 1), (code, c) => {
      const g = r * groups + Math.floor((c * groups) / n);
      return Math.fround(pointOf(gridKind, table.scales[g], table.zeros[g], code));
    }),
  );
  // Object.is tells 0 from −0.
  expect([...valuesOfRows(table, rows)].every((value, i) => Object.is(value, want[i]))).toBe(true);
  expect(valuesOfRows(table, rows)).toHaveLength(want.length);
});
