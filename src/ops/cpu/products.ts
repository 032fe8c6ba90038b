import { type CpuTensor, empty, requireShape, rowsOf } from "./tensor";

/** x · Wᵀ: [T, in], [out, in] → [T, out]. */
export function linear(x: CpuTensor, w: CpuTensor): CpuTensor {
  const [tokens, n] = x.shape;
  const [out] = w.shape;
  requireShape(w.shape[1] === n, "linear", `inputs ${x.shape.join(" × ")} for weights ${w.shape.join(" × ")}`);
  const y = empty([tokens, out]);
  for (let t = 0; t < tokens; t++) {
    const row = x.data.subarray(t * n, (t + 1) * n);
    for (let o = 0; o < out; o++) {
      let sum = 0;
      const base = o * n;
      for (let k = 0; k < n; k++) sum += row[k] * w.data[base + k];
      y.data[t * out + o] = sum;
    }
  }
  return y;
}

/** a · b: [m, k], [k, n] → [m, n]. */
export function matmul(a: CpuTensor, b: CpuTensor): CpuTensor {
  const [m, k] = a.shape;
  const n = b.shape[1];
  requireShape(b.shape[0] === k, "matmul", `${a.shape.join(" × ")} times ${b.shape.join(" × ")}`);
  const c = empty([m, n]);
  for (let i = 0; i < m; i++)
    for (let l = 0; l < k; l++) {
      const f = a.data[i * k + l];
      if (f === 0) continue;
      for (let j = 0; j < n; j++) c.data[i * n + j] += f * b.data[l * n + j];
    }
  return c;
}

/** H += xᵀ x, lower triangle. */
export function gram(H: CpuTensor, x: CpuTensor): void {
  const { rows, columns: n } = rowsOf(x);
  requireShape(H.shape[0] === n && H.shape[1] === n, "gram", `${x.shape.join(" × ")} for ${H.shape.join(" × ")}`);
  for (let t = 0; t < rows; t++)
    for (let i = 0; i < n; i++) {
      const f = x.data[t * n + i];
      for (let j = 0; j <= i; j++) H.data[i * n + j] += f * x.data[t * n + j];
    }
}

/** C += aᵀ b. */
export function crossGram(C: CpuTensor, a: CpuTensor, b: CpuTensor): void {
  const { rows, columns: n } = rowsOf(b);
  const fits = a.data.length === b.data.length && C.shape[0] === n && C.shape[1] === n;
  requireShape(fits, "crossGram", `${a.shape.join(" × ")}, ${b.shape.join(" × ")}`);
  for (let t = 0; t < rows; t++)
    for (let i = 0; i < n; i++) {
      const f = a.data[t * n + i];
      for (let j = 0; j < n; j++) C.data[i * n + j] += f * b.data[t * n + j];
    }
}

export function mirror(H: CpuTensor): void {
  const n = H.shape[0];
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) H.data[j * n + i] = H.data[i * n + j];
}
