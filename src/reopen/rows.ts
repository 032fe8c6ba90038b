/** Matrices that are unpacked some rows at a time. */

/** Rows [from, to) of a matrix [out, in], one after the other, in f32. */
export type Rows = (from: number, to: number) => Promise<Float32Array>;

/** A linear layer as a file holds it. */
export interface Unpacked {
  /** As Hugging Face names it, without ".weight". */
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
  /** For people: "GPTQ 4-bit, groups of 64", "Q4_K". */
  readonly stored: string;
  readonly rows: Rows;
}

/** Row r of the file is the original's row `placeOf(r)`; whole heads. */
export const moved =
  (rows: Rows, n: number, placeOf: (r: number) => number): Rows =>
  async (from, to) => {
    const values = await rows(from, to);
    const out = new Float32Array(values.length);
    for (let r = 0; r < to - from; r++) out.set(values.subarray(r * n, (r + 1) * n), placeOf(r) * n);
    return out;
  };
