import type { GridSpec } from "../ops";
import { requireShape } from "../shape";
import { clamp, groupScaling, nearestPoint } from "./groups";
import { type CpuTensor, empty } from "./tensor";

/** How many clipping thresholds are tried, in steps of 1/20 of the largest weight. */
const candidates = 10;

export function clipSearch(W: CpuTensor, gram: CpuTensor, spec: GridSpec): CpuTensor {
  const [out, n] = W.shape;
  const g = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(
    n % g === 0 && gram.shape[0] === n && gram.shape[1] === n,
    "clipSearch",
    `${W.shape.join(" × ")} and ${gram.shape.join(" × ")}`,
  );
  const clipped = empty(W.shape);
  for (let start = 0; start < out * n; start += g) {
    const w = W.data.subarray(start, start + g);
    clipped.data.set(best(w, gram, start % n, spec), start);
  }
  return clipped;
}

/** One group: the clipped weights whose rounding errs least. */
function best(w: Float64Array, gram: CpuTensor, column: number, spec: GridSpec): Float64Array {
  const largest = w.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  let least = Number.POSITIVE_INFINITY;
  let kept = w;
  for (let i = 0; i < candidates; i++) {
    const m = largest * (1 - i / 20);
    const trial = w.map((x) => clamp(x, -m, m));
    const error = outputError(rounded(trial, spec), w, gram, column);
    if (error < least) {
      least = error;
      kept = trial;
    }
  }
  return kept;
}

function rounded(w: Float64Array, spec: GridSpec): Float64Array {
  const at = groupScaling(w, spec);
  const { kind = "integer-zero", bits } = spec;
  const top = 2 ** bits - 1;
  return w.map((x) => nearestPoint(kind, at, x, top));
}

/** Σ_ij e_i G_ij e_j with e = ŵ − w. */
function outputError(quantized: Float64Array, w: Float64Array, gram: CpuTensor, column: number): number {
  const n = gram.shape[0];
  const e = quantized.map((x, i) => x - w[i]);
  let error = 0;
  for (let i = 0; i < e.length; i++) {
    let row = 0;
    for (let j = 0; j < e.length; j++) row += gram.data[(column + i) * n + column + j] * e[j];
    error += e[i] * row;
  }
  return error;
}
