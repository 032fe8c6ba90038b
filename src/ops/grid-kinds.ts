/**
 * How a grid's points come about. Every kind has ŵ = S·code − M, with one S and one M for each row and group. So encoding, decoding and error feedback need
 * to know only what a kind keeps in `zeros`.
 */
export type GridKind = "integer-zero" | "real-zero" | "signed" | SuperKind;

/** Grids of GGUF's K-quants, by the types' names: groups in super-blocks of 256 inputs, S = d·s and M = dmin·m (or S·2^(b−1)) of f16 d and dmin and small integers s and m. */
export type SuperKind = "q2_k" | "q3_k" | "q4_k" | "q5_k" | "q6_k";

/** Kinds whose grids are searched for, once, and do not move. */
export type SearchedKind = "signed" | SuperKind;

interface KindTraits {
  /** What a grid's `zeros` hold. "integer": the code z of 0, M = S·z, and a weight's code is round(w/S) + z. "real": M itself, and the code is round((w + M)/S). */
  readonly zeros: "integer" | "real";
  /** Whether a grid can be symmetric about 0. */
  readonly symmetric: boolean;
  /** Completes the sentence "a grid with …". */
  readonly label: string;
}

export const gridKinds: Readonly<Record<GridKind, KindTraits>> = {
  "integer-zero": { zeros: "integer", symmetric: true, label: "integer zeros" },
  "real-zero": { zeros: "real", symmetric: false, label: "real zeros (an offset in f16)" },
  signed: { zeros: "real", symmetric: true, label: "scales that may be negative" },
  q2_k: { zeros: "real", symmetric: false, label: "super-blocks (Q2_K)" },
  q3_k: { zeros: "real", symmetric: true, label: "super-blocks (Q3_K)" },
  q4_k: { zeros: "real", symmetric: false, label: "super-blocks (Q4_K)" },
  q5_k: { zeros: "real", symmetric: false, label: "super-blocks (Q5_K)" },
  q6_k: { zeros: "real", symmetric: true, label: "super-blocks (Q6_K)" },
};

/** Inputs of a super-block. */
export const superSize = 256;

interface SuperTraits {
  readonly bits: number;
  /** Inputs of a group. */
  readonly groupSize: 16 | 32;
  /** The least and the largest s. m, where there is one, has the same bounds. */
  readonly scales: readonly [number, number];
  /** Whether M = dmin·m; otherwise M = S·2^(b−1). */
  readonly mins: boolean;
  /** Bytes of a super-block in a GGUF file. */
  readonly bytes: number;
}

/** ggml-common.h's block_q2_K … block_q6_K. */
export const superKinds: Readonly<Record<SuperKind, SuperTraits>> = {
  q2_k: { bits: 2, groupSize: 16, scales: [0, 15], mins: true, bytes: 84 },
  q3_k: { bits: 3, groupSize: 16, scales: [-32, 31], mins: false, bytes: 110 },
  q4_k: { bits: 4, groupSize: 32, scales: [0, 63], mins: true, bytes: 144 },
  q5_k: { bits: 5, groupSize: 32, scales: [0, 63], mins: true, bytes: 176 },
  q6_k: { bits: 6, groupSize: 16, scales: [-128, 127], mins: false, bytes: 210 },
};

export const isSearched = (kind: GridKind): kind is SearchedKind => kind === "signed" || isSuper(kind);

export const isSuper = (kind: GridKind): kind is SuperKind => kind in superKinds;

/** Bits that one group's S and zero take in a packed file: f16, and f16 or a code. */
export function groupBits(kind: GridKind, bits: number): number {
  if (isSuper(kind)) return (8 * superKinds[kind].bytes * superKinds[kind].groupSize) / superSize - bits * superKinds[kind].groupSize;
  if (kind === "signed") return 16;
  return 16 + (gridKinds[kind].zeros === "real" ? 16 : bits);
}

type Point = (scale: number, zero: number, code: number) => number;
const onRealZero: Point = (scale, zero, code) => scale * code - zero;
const onIntegerZero: Point = (scale, zero, code) => scale * (code - zero);

/** How a kind makes ŵ of a code, to be asked once for many. Exact, but for the types of super-blocks with mins, whose difference clients round to f32. */
export const pointsOn = (kind: GridKind): Point => (gridKinds[kind].zeros === "real" ? onRealZero : onIntegerZero);

export const pointOf = (kind: GridKind, scale: number, zero: number, code: number): number => pointsOn(kind)(scale, zero, code);
