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
  return {
    s: quotients(gridKind, scales, factors, 0),
    m: superKinds[gridKind].mins ? quotients(gridKind, zeros, factors, 1) : new Int8Array(0),
  };
}

/** S and M, exact in f32. */
export function pointsOf(kind: SuperKind, factors: Float32Array, { s, m }: SuperParts): { scales: Float32Array; zeros: Float32Array } {
  const scales = products(kind, s, factors, 0);
  if (superKinds[kind].mins) return { scales, zeros: products(kind, m, factors, 1) };
  const middle = 2 ** (superKinds[kind].bits - 1);
  const zeros = new Float32Array(scales.length);
  for (let g = 0; g < zeros.length; g++) zeros[g] = scales[g] * middle;
  return { scales, zeros };
}

// Plain loops: a large layer has millions of groups, and `from` with a function takes twenty times as long for each.

/** Of two factors a super-block, the one at `which` divides. */
function quotients(kind: SuperKind, values: ArrayLike<number>, factors: Float32Array, which: 0 | 1): Int8Array {
  const perBlock = superSize / superKinds[kind].groupSize;
  const found = new Int8Array(values.length);
  for (let g = 0; g < found.length; g++) {
    const factor = factors[2 * Math.floor(g / perBlock) + which];
    found[g] = factor === 0 ? 0 : Math.round(values[g] / factor);
  }
  return found;
}

function products(kind: SuperKind, integers: Int8Array, factors: Float32Array, which: 0 | 1): Float32Array {
  const perBlock = superSize / superKinds[kind].groupSize;
  const found = new Float32Array(integers.length);
  for (let g = 0; g < found.length; g++) found[g] = factors[2 * Math.floor(g / perBlock) + which] * integers[g];
  return found;
}
