/**
 * How a grid's points come about. Every kind has ŵ = S·code − M, with one S and one M for each row and group. So encoding, decoding and error feedback need
 * to know only what a kind keeps in `zeros`.
 */
export type GridKind = "integer-zero" | "real-zero";

interface KindTraits {
  /** What a grid's `zeros` hold. "integer": the code z of 0, M = S·z, and a weight's code is round(w/S) + z. "real": M itself, and the code is round((w + M)/S). */
  readonly zeros: "integer" | "real";
  /** Whether a grid can be symmetric about 0. */
  readonly symmetric: boolean;
  /** Completes the sentence "a grid with …". */
  readonly label: string;
}

/**
 * A kind whose S and M are themselves products of quantized parts (super-blocks: S = d·sc, M = dmin·m) is an entry here too: its maker gives S and M in f32 and
 * keeps the parts beside them in the grid, for its format.
 */
export const gridKinds: Readonly<Record<GridKind, KindTraits>> = {
  "integer-zero": { zeros: "integer", symmetric: true, label: "integer zeros" },
  "real-zero": { zeros: "real", symmetric: false, label: "real zeros (an offset in f16)" },
};

/** Bits that one group's S and zero take in a packed file: f16, and f16 or a code. */
export const groupBits = (kind: GridKind, bits: number): number => 16 + (gridKinds[kind].zeros === "real" ? 16 : bits);

/** ŵ of a code, exact: S and M are f16 values, the code has 8 bits at most. */
export const pointOf = (kind: GridKind, scale: number, zero: number, code: number): number =>
  gridKinds[kind].zeros === "real" ? scale * code - zero : scale * (code - zero);
