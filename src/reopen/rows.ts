/** Matrices that are unpacked some rows at a time. */

/** Rows [from, to) of a matrix [out, in], one after the other, in f32. */
export type Rows = (from: number, to: number) => Promise<Float32Array>;

/** Row r of the file is the original's row `placeOf(r)`; whole heads. */
export const moved =
  (rows: Rows, n: number, placeOf: (r: number) => number): Rows =>
  async (from, to) => {
    const values = await rows(from, to);
    const out = new Float32Array(values.length);
    for (let r = 0; r < to - from; r++) out.set(values.subarray(r * n, (r + 1) * n), placeOf(r) * n);
    return out;
  };
