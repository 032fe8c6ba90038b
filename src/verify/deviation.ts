/** A tensor's values beside the original's: all together, value by value, and row by row. */

/** Beyond this relative error a tensor has little to do with the original's. */
export const far = 0.7;
/** A row whose weights are a tenth as large as others' or less is a token that was never trained: blocks of few bits may lose it. */
const least = 0.01;

export class Deviation {
  private readonly totals: Float64Array;
  private readonly differences: Float64Array;
  /** Every value is the original's, or one of the two nearest in 16 bits (in bf16, which is the coarsest). */
  isRounded = true;
  isFinite = true;

  constructor(
    private readonly width: number,
    rows: number,
  ) {
    this.totals = new Float64Array(rows);
    this.differences = new Float64Array(rows);
  }

  /** Values from row `first` on, the original's w and the file's v. */
  add(first: number, W: Float32Array, file: Float32Array): void {
    const { width } = this;
    for (let at = 0; at < file.length; at += width)
      this.addRow(first + at / width, W.subarray(at, at + width), file.subarray(at, at + width));
  }

  private addRow(row: number, W: Float32Array, file: Float32Array): void {
    let [total, difference, isRounded] = [0, 0, true];
    for (let i = 0; i < file.length; i++) {
      const [w, off] = [W[i], W[i] - file[i]];
      total += w * w;
      difference += off * off;
      isRounded &&= Math.abs(off) <= Math.abs(w) * 2 ** -7 + 2 ** -24;
    }
    this.totals[row] += total;
    this.differences[row] += difference;
    this.isRounded &&= isRounded;
    // What is infinite in the file, or NaN, is so in the sum.
    this.isFinite &&= Number.isFinite(difference);
  }

  /** ‖W − Ŵ‖ / ‖W‖ */
  error(): number {
    return relative(sum(this.differences), sum(this.totals));
  }

  /** The row with the largest error of its own, of those that weigh something. */
  worstRow(): { row: number; error: number } {
    const { totals, differences } = this;
    const enough = (least * sum(totals)) / totals.length;
    let worst = { row: -1, error: 0 };
    for (let row = 0; row < totals.length; row++) {
      const error = relative(differences[row], totals[row]);
      if (totals[row] >= enough && !(error <= worst.error)) worst = { row, error };
    }
    return worst;
  }
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

export const relative = (difference: number, total: number): number =>
  total > 0 ? Math.sqrt(difference / total) : difference > 0 ? Number.POSITIVE_INFINITY : 0;
