import { requireShape, rowsOf } from "../shape";
import { type CpuTensor, empty } from "./tensor";

/** x · Wᵀ: [T, in], [out, in] → [T, out]. */
export function linear(x: CpuTensor, w: CpuTensor): CpuTensor {
  const [tokens, n] = x.shape;
  const [out] = w.shape;
  requireShape(w.shape[1] === n, "linear", `inputs ${x.shape.join(" × ")} for weights ${w.shape.join(" × ")}`);
  const y = empty([tokens, out]);
  for (let t = 0; t < tokens; t++) dotRows(y.data.subarray(t * out, (t + 1) * out), x.data.subarray(t * n, (t + 1) * n), w.data);
  return y;
}

/** y[o] = Σ_k row[k]·w[o, k]. Four sums at once, because each waits for its last addition; the order within a sum is k's. */
function dotRows(y: Float64Array, row: Float64Array, w: Float64Array): void {
  const n = row.length;
  let o = 0;
  for (; o + 4 <= y.length; o += 4) {
    const [w0, w1, w2, w3] = [o * n, (o + 1) * n, (o + 2) * n, (o + 3) * n];
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let k = 0; k < n; k++) {
      const x = row[k];
      s0 += x * w[w0 + k];
      s1 += x * w[w1 + k];
      s2 += x * w[w2 + k];
      s3 += x * w[w3 + k];
    }
    y[o] = s0;
    y[o + 1] = s1;
    y[o + 2] = s2;
    y[o + 3] = s3;
  }
  for (; o < y.length; o++) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += row[k] * w[o * n + k];
    y[o] = sum;
  }
}

/** a · b: [m, k], [k, n] → [m, n]. */
export function matmul(a: CpuTensor, b: CpuTensor): CpuTensor {
  const [m, k] = a.shape;
  const n = b.shape[1];
  requireShape(b.shape[0] === k, "matmul", `${a.shape.join(" × ")} times ${b.shape.join(" × ")}`);
  const c = empty([m, n]);
  for (let i = 0; i < m; i++)
    addRows(c.data.subarray(i * n, (i + 1) * n), { data: a.data, first: i * k, step: 1 }, { data: b.data, width: n, count: k });
  return c;
}

/** H += xᵀ x, lower triangle. */
export function gram(H: CpuTensor, x: CpuTensor): void {
  const { rows, columns: n } = rowsOf(x);
  requireShape(H.shape[0] === n && H.shape[1] === n, "gram", `${x.shape.join(" × ")} for ${H.shape.join(" × ")}`);
  for (let i = 0; i < n; i++)
    addRows(H.data.subarray(i * n, i * n + i + 1), { data: x.data, first: i, step: n }, { data: x.data, width: n, count: rows });
}

/** C += aᵀ b. */
export function crossGram(C: CpuTensor, a: CpuTensor, b: CpuTensor): void {
  const { rows, columns: n } = rowsOf(b);
  const fits = a.data.length === b.data.length && C.shape[0] === n && C.shape[1] === n;
  requireShape(fits, "crossGram", `${a.shape.join(" × ")}, ${b.shape.join(" × ")}`);
  for (let i = 0; i < n; i++)
    addRows(C.data.subarray(i * n, (i + 1) * n), { data: a.data, first: i, step: n }, { data: b.data, width: n, count: rows });
}

/** One factor a row: data[first], data[first + step], … */
interface Factors {
  data: Float64Array;
  first: number;
  step: number;
}

/** Row l begins at l·width. */
interface Rows {
  data: Float64Array;
  width: number;
  count: number;
}

/** c += Σ_l factor_l · row_l, in the order of l. Four rows at once, so that c is loaded and stored a fourth as often; triangles have many rows of zeros. */
function addRows(c: Float64Array, { data: f, first, step }: Factors, { data: b, width, count }: Rows): void {
  const length = c.length;
  let l = 0;
  for (; l + 4 <= count; l += 4) {
    const at = first + l * step;
    const [f0, f1, f2, f3] = [f[at], f[at + step], f[at + 2 * step], f[at + 3 * step]];
    if (f0 === 0 && f1 === 0 && f2 === 0 && f3 === 0) continue;
    const [b0, b1, b2, b3] = [l * width, (l + 1) * width, (l + 2) * width, (l + 3) * width];
    for (let j = 0; j < length; j++) c[j] = c[j] + f0 * b[b0 + j] + f1 * b[b1 + j] + f2 * b[b2 + j] + f3 * b[b3 + j];
  }
  for (; l < count; l++) {
    const factor = f[first + l * step];
    if (factor === 0) continue;
    for (let j = 0; j < length; j++) c[j] += factor * b[l * width + j];
  }
}

export function mirror(H: CpuTensor): void {
  const n = H.shape[0];
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) H.data[j * n + i] = H.data[i * n + j];
}
