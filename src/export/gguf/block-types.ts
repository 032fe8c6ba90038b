/** Which block type holds a layer's grid exactly, and how its rows become blocks. */
import { QuantError } from "../../errors";
import { f16Word, toF16 } from "../../io/dtype";
import type { Beyond, PackedLayer } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { TensorType } from "../../recipe/types";
import { type KPacker, q2K, q3K, q4K, q5K, q6K } from "./k-blocks";
import { q2_0, q4_0, q4_1, q5_0, q5_1, q8_0 } from "./plain-blocks";
import { bytesOf, type GgmlType, ggmlTypes } from "./types";

/** A row of a layer on a grid: its codes, and S and z (or M) of each of its groups. */
interface GridRow {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array | Float32Array;
  /** Of super-blocks: d and dmin of each. */
  readonly factors?: Float32Array;
}

interface BlockType {
  /** Whether its blocks can hold any codes on such a grid that was not made for a type, with groups of `size` columns; absent: no such grid. */
  fits?(grid: LayerPlan["grid"], size: number, isWholeRow: boolean): boolean;
  /** Writes a row's blocks at `at` of `out`, whose bytes there are zero. */
  pack(row: GridRow, out: Uint8Array, at: number): void;
}

/**
 * From the smallest to the largest. Exact but for one rounding: of an integer zero Q4_1's m is S·z in f16, which S of at most 11 − b significant bits makes
 * exact too. K types hold their own super-blocks, and a row with one scale: d = dmin = S, sub-block scales 1, mins z.
 */
const blockTypes: Readonly<Record<TensorType, BlockType>> = {
  Q2_0: {
    fits: ({ bits, symmetric }, size) => symmetric && bits === 2 && size % 64 === 0,
    pack: plain("Q2_0", (out, at, codes, from, scale) => q2_0(out, at, codes, from, f16Word(-scale))),
  },
  Q2_K: {
    fits: ({ bits, symmetric, kind }, size, isWholeRow) =>
      wholeRow(isWholeRow, size) && !symmetric && kind === "integer-zero" && bits === 2,
    pack: superBlocks("Q2_K", q2K),
  },
  Q3_K: {
    // Codes and zero agree: its values are v − 4, and so are those of a symmetric 3-bit grid.
    fits: ({ bits, symmetric }, size, isWholeRow) => wholeRow(isWholeRow, size) && symmetric && bits === 3,
    pack: superBlocks("Q3_K", q3K),
  },
  Q4_K: {
    fits: ({ bits, symmetric, kind }, size, isWholeRow) => wholeRow(isWholeRow, size) && !symmetric && kind === "integer-zero" && bits <= 4,
    pack: superBlocks("Q4_K", q4K),
  },
  Q4_0: {
    fits: ({ bits, symmetric }, size) => symmetric && bits <= 4 && size % 32 === 0,
    pack: plain("Q4_0", (out, at, codes, from, scale, zero, isReal) => q4_0(out, at, codes, from, f16Word(scale), isReal ? 8 : zero)),
  },
  Q4_1: {
    fits: ({ bits, symmetric }, size) => !symmetric && bits <= 4 && size % 32 === 0,
    pack: plain("Q4_1", (out, at, codes, from, scale, zero, isReal) =>
      q4_1(out, at, codes, from, f16Word(scale), f16Word(isReal ? -zero : -scale * zero)),
    ),
  },
  Q5_0: { pack: plain("Q5_0", (out, at, codes, from, scale) => q5_0(out, at, codes, from, f16Word(scale))) },
  Q5_K: { pack: superBlocks("Q5_K", q5K) },
  Q5_1: { pack: plain("Q5_1", (out, at, codes, from, scale, M) => q5_1(out, at, codes, from, f16Word(scale), f16Word(-M))) },
  Q6_K: { pack: superBlocks("Q6_K", q6K) },
  Q8_0: {
    fits: ({ bits, symmetric }, size) => symmetric && bits === 8 && size % 32 === 0,
    pack: plain("Q8_0", (out, at, codes, from, scale, zero, isReal) => q8_0(out, at, codes, from, f16Word(scale), isReal ? 128 : zero)),
  },
};

const wholeRow = (isWholeRow: boolean, size: number) => isWholeRow && size % 256 === 0;

/** A row of blocks that each lie within one group. */
function plain(
  type: TensorType,
  block: (out: Uint8Array, at: number, codes: Uint8Array, from: number, scale: number, zero: number, isReal: boolean) => void,
): BlockType["pack"] {
  const { values, bytes } = ggmlTypes[type];
  return ({ codes, scales, zeros }, out, at) => {
    const size = codes.length / scales.length;
    const isReal = zeros instanceof Float32Array;
    for (let from = 0; from < codes.length; from += values) {
      const g = Math.floor(from / size);
      block(out, at + (from / values) * bytes, codes, from, scales[g], zeros[g], isReal);
    }
  };
}

/** A row in super-blocks: its own, or with one scale for all of it. */
function superBlocks(type: TensorType, packer: KPacker): BlockType["pack"] {
  const { values, bytes } = ggmlTypes[type];
  const ones = new Uint8Array(16).fill(1);
  return ({ codes, scales, zeros, factors }, out, at) => {
    const blocks = codes.length / values;
    const groups = scales.length / blocks;
    for (let b = 0; b < blocks; b++) {
      const [d, dmin] = factors ? [factors[2 * b], factors[2 * b + 1]] : [scales[0], scales[0]];
      const own = (of: ArrayLike<number>, factor: number) => multiples(of, b * groups, groups, factor);
      const parts = factors
        ? { scales: own(scales, d), mins: own(zeros, dmin) }
        : { scales: ones, mins: new Uint8Array(16).fill(zeros[0]) };
      packer(out, at + b * bytes, { codes, from: b * values, ...parts, d: f16Word(d), dmin: f16Word(dmin) });
    }
  };
}

/** How many times the factor each of these values is. */
function multiples(values: ArrayLike<number>, from: number, count: number, factor: number): Int8Array {
  const found = new Int8Array(count);
  if (factor !== 0) for (let g = 0; g < count; g++) found[g] = Math.round(values[from + g] / factor);
  return found;
}

/** A layer or a table. */
export type Gridded = Pick<LayerPlan, "name" | "shape" | "grid" | "type">;

/** The type that the recipe asked for, or the smallest that holds the layer; undefined where there is none. */
export function fittingType({ shape: [, n], grid, type }: Omit<Gridded, "name">): TensorType | undefined {
  if (type) return type;
  const isWholeRow = grid.groupSize < 0 || grid.groupSize === n;
  const size = isWholeRow ? n : grid.groupSize;
  return (Object.keys(blockTypes) as TensorType[]).find((type) => blockTypes[type].fits?.(grid, size, isWholeRow));
}

/** As `fittingType`. @throws QuantError `bad-format` where there is none. */
export function blockTypeOf(layer: Gridded): TensorType {
  const type = fittingType(layer);
  if (type) return type;
  const { name, shape, grid } = layer;
  if (shape[1] % 32)
    throw new QuantError(
      "bad-format",
      `the ${shape[1]} inputs of ${name} are no multiple of the 32 values of a GGUF block`,
      "Use the dense format.",
    );
  throw new QuantError(
    "bad-format",
    `no GGUF block holds the asymmetric ${grid.bits}-bit grid of ${name}`,
    "Switch Symmetric on (--sym), or use fewer bits.",
  );
}

/** The first S·z, which Q4_1 has as m, that f16 cannot hold: it need not be a weight's. */
export function offsetBeyond({ shape: [out, n], symmetric, scales, zeros }: PackedLayer): Beyond | null {
  if (symmetric || zeros instanceof Float32Array) return null;
  const at = scales.findIndex((scale, i) => !Number.isFinite(toF16(scale * zeros[i])));
  if (at < 0) return null;
  const groups = scales.length / out;
  return { index: Math.floor(at / groups) * n + ((at % groups) * n) / groups, value: -scales[at] * zeros[at] };
}

/** Writes a row's blocks at `at` of `out`, whose bytes there are zero. */
export const packRow = (type: TensorType, row: GridRow, out: Uint8Array, at: number): void => blockTypes[type].pack(row, out, at);

/** Bits of a weight in this type, scales included. */
export const bitsPerWeight = (type: GgmlType): number => 8 * bytesOf(type, 1);
