import type { Rows, Unpacked } from "../reopen/rows";
import type { FindingCode } from "../results/verification";

/** A linear layer to be compared. */
export interface Matrix extends Unpacked {
  /** Rows are read in multiples of this. */
  readonly unit: number;
  /** Other ways in which the file's bytes could be meant: if one of them is much nearer the original, the file is labelled wrongly. */
  readonly readings: readonly Reading[];
}

/** A known mistake of exporters, undone. */
export interface Reading {
  readonly code: FindingCode;
  /** Completes "the layers are 3 times nearer the original's with …". */
  readonly how: string;
  /** The conclusion, as a sentence. */
  readonly means: string;
  readonly rows: Rows;
}

/** Rows that fit into a few megabytes of f32, a multiple of `unit`. */
export function rowsAtOnce([, n]: readonly [number, number], unit: number): number {
  return Math.max(1, Math.floor(2 ** 20 / n / unit)) * unit;
}
