import type { AttentionShape, RopeShape } from "../ops";
import { requireShape, rowsOf } from "../shape";
import { type CpuTensor, empty, floats } from "./tensor";

export function add(a: CpuTensor, b: CpuTensor, factor = 1): CpuTensor {
  requireShape(a.data.length === b.data.length, "add", `${a.shape.join(" × ")} and ${b.shape.join(" × ")}`);
  return floats(
    a.data.map((x, i) => x + factor * b.data[i]),
    a.shape,
  );
}

/** Knuth's two-sum of a and factor · b. */
export function addExactly(a: CpuTensor, b: CpuTensor, factor = 1): { sum: CpuTensor; rest: CpuTensor } {
  const sum = add(a, b, factor);
  const rest = sum.data.map((s, i) => {
    const term = factor * b.data[i];
    const ofTerm = s - a.data[i];
    return a.data[i] - (s - ofTerm) + (term - ofTerm);
  });
  return { sum, rest: floats(rest, a.shape) };
}

export function addBias(y: CpuTensor, b: CpuTensor): CpuTensor {
  const n = rowsOf(y).columns;
  requireShape(b.data.length === n, "addBias", `${y.shape.join(" × ")} and ${b.shape.join(" × ")}`);
  return floats(
    y.data.map((x, i) => x + b.data[i % n]),
    y.shape,
  );
}

export function rmsNorm(x: CpuTensor, w: CpuTensor, eps: number): CpuTensor {
  const n = w.data.length;
  requireShape(x.data.length % n === 0, "rmsNorm", `${x.shape.join(" × ")} and ${w.shape.join(" × ")}`);
  const y = empty(x.shape);
  for (let start = 0; start < x.data.length; start += n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += x.data[start + i] ** 2;
    const factor = 1 / Math.sqrt(sum / n + eps);
    for (let i = 0; i < n; i++) y.data[start + i] = x.data[start + i] * factor * w.data[i];
  }
  return y;
}

/** Half-split rotation: (y1, y2) → (y1·cos − y2·sin, y2·cos + y1·sin). */
export function rope(x: CpuTensor, cos: CpuTensor, sin: CpuTensor, { headDim, length }: RopeShape): CpuTensor {
  const { rows, columns } = rowsOf(x);
  const half = headDim / 2;
  requireShape(columns % headDim === 0 && cos.data.length >= length * half, "rope", `${x.shape.join(" × ")} with heads of ${headDim}`);
  const y = empty(x.shape);
  for (let t = 0; t < rows; t++)
    for (let h = 0; h < columns; h += headDim)
      for (let i = 0; i < half; i++) {
        const a = t * columns + h + i;
        const c = cos.data[(t % length) * half + i];
        const s = sin.data[(t % length) * half + i];
        y.data[a] = x.data[a] * c - x.data[a + half] * s;
        y.data[a + half] = x.data[a + half] * c + x.data[a] * s;
      }
  return y;
}

export function swiglu(gate: CpuTensor, up: CpuTensor): CpuTensor {
  requireShape(gate.data.length === up.data.length, "swiglu", `${gate.shape.join(" × ")} and ${up.shape.join(" × ")}`);
  return floats(
    gate.data.map((g, i) => (g / (1 + Math.exp(-g))) * up.data[i]),
    gate.shape,
  );
}

export function attention(q: CpuTensor, k: CpuTensor, v: CpuTensor, shape: AttentionShape): CpuTensor {
  const { heads, kvHeads, headDim, length } = shape;
  const rows = rowsOf(q).rows;
  requireShape(rows % length === 0 && q.shape[1] === heads * headDim && k.shape[1] === kvHeads * headDim, "attention", q.shape.join(" × "));
  const out = empty(q.shape);
  const weights = new Float64Array(length);
  for (let t = 0; t < rows; t++) for (let h = 0; h < heads; h++) attendOne(q, k, v, out, { t, h, ...shape }, weights);
  return out;
}

/** One query of one head: softmax over the keys it may see, then the weighted sum of their values. */
function attendOne(
  q: CpuTensor,
  k: CpuTensor,
  v: CpuTensor,
  out: CpuTensor,
  where: AttentionShape & { t: number; h: number },
  weights: Float64Array,
): void {
  const { t, h, heads, kvHeads, headDim, length, slidingWindow } = where;
  const start = t - (t % length);
  const first = slidingWindow > 0 ? Math.max(start, t - slidingWindow + 1) : start;
  const kvBase = Math.floor((h * kvHeads) / heads) * headDim;
  const qBase = (t * heads + h) * headDim;
  const query = q.data.subarray(qBase, qBase + headDim);
  const y = out.data.subarray(qBase, qBase + headDim);
  const [keys, values] = [k.data, v.data];
  const norm = Math.sqrt(headDim);
  let max = Number.NEGATIVE_INFINITY;
  for (let j = first; j <= t; j++) {
    const at = j * kvHeads * headDim + kvBase;
    let dot = 0;
    for (let i = 0; i < headDim; i++) dot += query[i] * keys[at + i];
    weights[j - first] = dot / norm;
    max = Math.max(max, weights[j - first]);
  }
  let sum = 0;
  for (let j = first; j <= t; j++) {
    weights[j - first] = Math.exp(weights[j - first] - max);
    sum += weights[j - first];
  }
  for (let j = first; j <= t; j++) {
    const p = weights[j - first] / sum;
    const at = j * kvHeads * headDim + kvBase;
    for (let i = 0; i < headDim; i++) y[i] += p * values[at + i];
  }
}

/** Online log-sum-exp over slices of the vocabulary; state rows are (max, Σ exp(logit − max), target's logit). */
export function crossEntropyUpdate(state: CpuTensor, logits: CpuTensor, targets: CpuTensor, offset: number): void {
  const { rows, columns: n } = rowsOf(logits);
  requireShape(state.shape[0] === rows && targets.uints.length === rows, "crossEntropyUpdate", `${logits.shape.join(" × ")}`);
  for (let t = 0; t < rows; t++) {
    const row = logits.data.subarray(t * n, (t + 1) * n);
    let max = state.data[3 * t];
    for (const z of row) max = Math.max(max, z);
    let sum = state.data[3 * t + 1] * Math.exp(state.data[3 * t] - max);
    for (const z of row) sum += Math.exp(z - max);
    state.data[3 * t] = max;
    state.data[3 * t + 1] = sum;
    const target = targets.uints[t] - offset;
    if (target >= 0 && target < n) state.data[3 * t + 2] = row[target];
  }
}

export function squaredDifference(a: CpuTensor, b: CpuTensor): CpuTensor {
  requireShape(a.data.length === b.data.length, "squaredDifference", `${a.shape.join(" × ")} and ${b.shape.join(" × ")}`);
  let difference = 0;
  let reference = 0;
  for (let i = 0; i < a.data.length; i++) {
    difference += (a.data[i] - b.data[i]) ** 2;
    reference += a.data[i] ** 2;
  }
  return floats(Float64Array.of(difference, reference), [1, 2]);
}

export function innerProducts(a: CpuTensor, b: CpuTensor): CpuTensor {
  requireShape(a.data.length === b.data.length, "innerProducts", `${a.shape.join(" × ")} and ${b.shape.join(" × ")}`);
  let product = 0;
  let square = 0;
  for (let i = 0; i < a.data.length; i++) {
    product += a.data[i] * b.data[i];
    square += b.data[i] ** 2;
  }
  return floats(Float64Array.of(product, square), [1, 2]);
}

/** Each element times (or over) the entry of s that `at` gives it. */
function scaled(A: CpuTensor, s: CpuTensor, divide: boolean, at: (i: number) => number): CpuTensor {
  return floats(
    A.data.map((x, i) => (divide ? x / s.data[at(i)] : x * s.data[at(i)])),
    A.shape,
  );
}

export function scaleColumns(A: CpuTensor, s: CpuTensor, divide = false): CpuTensor {
  const n = rowsOf(A).columns;
  requireShape(s.data.length === n, "scaleColumns", `${A.shape.join(" × ")} and ${s.shape.join(" × ")}`);
  return scaled(A, s, divide, (i) => i % n);
}

export function scaleRows(A: CpuTensor, s: CpuTensor, divide = false): CpuTensor {
  const { rows, columns } = rowsOf(A);
  requireShape(s.data.length === rows, "scaleRows", `${A.shape.join(" × ")} and ${s.shape.join(" × ")}`);
  return scaled(A, s, divide, (i) => Math.floor(i / columns));
}

export function affine(A: CpuTensor, factor: number, offset: number, low: number, high: number): CpuTensor {
  return floats(
    A.data.map((x) => Math.min(Math.max(factor * x + offset, low), high)),
    A.shape,
  );
}

export function addColumnSums(sums: CpuTensor, x: CpuTensor): void {
  const n = rowsOf(x).columns;
  requireShape(sums.data.length === n, "addColumnSums", `${x.shape.join(" × ")} into ${sums.shape.join(" × ")}`);
  for (let i = 0; i < x.data.length; i++) sums.data[i % n] += Math.abs(x.data[i]);
}

export function everyRow(x: CpuTensor, first: number, step: number, count?: number): CpuTensor {
  const { rows, columns } = rowsOf(x);
  const chosen = count ?? Math.ceil((rows - first) / step);
  const inside = first >= 0 && first < rows && step > 0 && first + (chosen - 1) * step < rows;
  requireShape(inside, "everyRow", `row ${first} of ${rows}, ${chosen} steps of ${step}`);
  const y = empty([chosen, columns]);
  for (let i = 0; i < chosen; i++) y.data.set(x.data.subarray((first + i * step) * columns, (first + i * step + 1) * columns), i * columns);
  return y;
}
