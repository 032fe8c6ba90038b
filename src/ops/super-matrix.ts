/** The parts of a matrix on super-blocks: S = d·s, and M = dmin·m or S·2^(b−1). */
import { isSuper, type SuperKind, superKinds, superSize } from "./grid-kinds";
import type { PackedMatrix } from "./packed";

/** The small integers, [out, G] each; without mins, m is empty. */
interface SuperParts {
  s: Int8Array;
  m: Int8Array;
}

interface OnSuperBlocks {
  readonly gridKind: SuperKind;
  readonly factors: Float32Array;
}

export type SuperMatrix = PackedMatrix & OnSuperBlocks;

export const onSuperBlocks = <T extends PackedMatrix>(matrix: T): matrix is T & OnSuperBlocks =>
  isSuper(matrix.gridKind) && matrix.factors !== undefined;

/** What the factors multiply. */
export function partsOf({ gridKind, scales, zeros, factors }: SuperMatrix): SuperParts {
  const { groupSize, mins } = superKinds[gridKind];
  const perBlock = superSize / groupSize;
  const over = (values: ArrayLike<number>, which: 0 | 1) =>
    Int8Array.from({ length: values.length }, (_, g) => {
      const factor = factors[2 * Math.floor(g / perBlock) + which];
      return factor === 0 ? 0 : Math.round(values[g] / factor);
    });
  return { s: over(scales, 0), m: mins ? over(zeros, 1) : new Int8Array(0) };
}

/** S and M, exact in f32. */
export function pointsOf(kind: SuperKind, factors: Float32Array, { s, m }: SuperParts): { scales: Float32Array; zeros: Float32Array } {
  const { groupSize, mins, bits } = superKinds[kind];
  const perBlock = superSize / groupSize;
  const scales = Float32Array.from(s, (value, g) => factors[2 * Math.floor(g / perBlock)] * value);
  if (!mins) return { scales, zeros: scales.map((S) => S * 2 ** (bits - 1)) };
  return { scales, zeros: Float32Array.from(m, (value, g) => factors[2 * Math.floor(g / perBlock) + 1] * value) };
}
