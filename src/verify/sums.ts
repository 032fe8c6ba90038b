/** Sums over a layer's weights w and the file's ŵ, from which errors follow. */
export class Sums {
  /** Per column, then per row: Σ w·ŵ, Σ ŵ². */
  private readonly products: readonly [Float64Array, Float64Array];
  private readonly squares: readonly [Float64Array, Float64Array];
  private total = 0;
  private difference = 0;

  /** @param n columns. */
  constructor(
    private readonly n: number,
    rows: number,
  ) {
    this.products = [new Float64Array(n), new Float64Array(rows)];
    this.squares = [new Float64Array(n), new Float64Array(rows)];
  }

  /** Rows from `first` on, ŵ multiplied by `factor` per column. */
  add(first: number, W: Float32Array, file: Float32Array, factor: Float32Array | null): void {
    const { n, products, squares } = this;
    for (let i = 0; i < W.length; i++) {
      const c = i % n;
      const r = first + (i - c) / n;
      const w = W[i];
      const v = factor ? file[i] * factor[c] : file[i];
      this.total += w * w;
      this.difference += (w - v) ** 2;
      products[0][c] += w * v;
      products[1][r] += w * v;
      squares[0][c] += v * v;
      squares[1][r] += v * v;
    }
  }

  /** ‖W − Ŵ‖ / ‖W‖ */
  error(): number {
    return relative(this.difference, this.total);
  }

  /** The error if every column (or row) of Ŵ were multiplied by the factor that makes it least, and those factors. */
  scaled(what: "inputs" | "outputs"): { error: number; factors: Float64Array } {
    const at = what === "inputs" ? 0 : 1;
    const [products, squares] = [this.products[at], this.squares[at]];
    const factors = products.map((p, i) => (squares[i] > 0 && p > 0 ? p / squares[i] : 0));
    const explained = factors.reduce((sum, factor, i) => sum + factor * products[i], 0);
    return { error: relative(Math.max(0, this.total - explained), this.total), factors };
  }
}

const relative = (difference: number, total: number) =>
  total > 0 ? Math.sqrt(difference / total) : difference > 0 ? Number.POSITIVE_INFINITY : 0;
