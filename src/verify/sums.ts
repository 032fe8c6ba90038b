import { relative } from "./deviation";

/** Which of a matrix' sides may have been scaled, one factor for each column ("inputs") or row ("outputs"). */
export type Side = "inputs" | "outputs";

/** Sums over a layer's weights w and the file's ŵ, from which errors follow. */
export class Sums {
  /** Per column or row: Σ w·ŵ, Σ ŵ². */
  private readonly products: Float64Array;
  private readonly squares: Float64Array;
  private total = 0;
  private difference = 0;

  /** @param n columns. @param side whose best factors are wanted; undefined: none. */
  constructor(
    private readonly n: number,
    rows: number,
    private readonly side: Side | undefined,
  ) {
    const length = side === undefined ? 0 : side === "inputs" ? n : rows;
    this.products = new Float64Array(length);
    this.squares = new Float64Array(length);
  }

  /** Rows from `first` on, ŵ multiplied by `factor` per column (and changed so in place). */
  add(first: number, W: Float32Array, file: Float32Array, factor: Float32Array | null): void {
    const { n, side } = this;
    const rows = W.length / n;
    for (let r = 0; r < rows; r++) {
      const [w, v] = [W.subarray(r * n, (r + 1) * n), file.subarray(r * n, (r + 1) * n)];
      if (factor) for (let c = 0; c < n; c++) v[c] *= factor[c];
      this.addRow(w, v);
      if (side === "outputs") this.addToRow(first + r, w, v);
      else if (side === "inputs") this.addToColumns(w, v);
    }
  }

  private addRow(w: Float32Array, v: Float32Array): void {
    let [total, difference] = [0, 0];
    for (let c = 0; c < w.length; c++) {
      const off = w[c] - v[c];
      total += w[c] * w[c];
      difference += off * off;
    }
    this.total += total;
    this.difference += difference;
  }

  private addToRow(r: number, w: Float32Array, v: Float32Array): void {
    let [product, square] = [0, 0];
    for (let c = 0; c < w.length; c++) {
      product += w[c] * v[c];
      square += v[c] * v[c];
    }
    this.products[r] += product;
    this.squares[r] += square;
  }

  private addToColumns(w: Float32Array, v: Float32Array): void {
    const { products, squares } = this;
    for (let c = 0; c < w.length; c++) {
      products[c] += w[c] * v[c];
      squares[c] += v[c] * v[c];
    }
  }

  /** ‖W − Ŵ‖ / ‖W‖ */
  error(): number {
    return relative(this.difference, this.total);
  }

  /** The error if every column (or row) of Ŵ were multiplied by the factor that makes it least, and those factors. */
  scaled(): { error: number; factors: Float64Array } {
    const { products, squares } = this;
    const factors = products.map((p, i) => (squares[i] > 0 && p > 0 ? p / squares[i] : 0));
    const explained = factors.reduce((sum, factor, i) => sum + factor * products[i], 0);
    return { error: relative(Math.max(0, this.total - explained), this.total), factors };
  }
}
