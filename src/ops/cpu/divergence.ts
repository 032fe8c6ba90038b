import { divergenceColumns } from "../divergence";
import { requireShape, rowsOf } from "../shape";
import type { CpuTensor } from "./tensor";

/** The peaks that sums are relative to: a, x_a, y_a, b, y_b of the state. */
type Peaks = readonly [a: number, xa: number, ya: number, b: number, yb: number];
/** P, Q, D, G of the state. */
type Sums = readonly [P: number, Q: number, D: number, G: number];

const { exp } = Math;
const referenceOf = ([, , ya, , yb]: Peaks): number => Math.max(ya, yb - 40);

/** Sums for KL(p‖q) over slices of the vocabulary; what the state's rows hold is said in ops.ts. */
export function divergenceUpdate(state: CpuTensor, x: CpuTensor, y: CpuTensor, targets: CpuTensor, offset: number): void {
  const { rows, columns: n } = rowsOf(x);
  const fits = state.shape[0] === rows && y.data.length === x.data.length && targets.uints.length === rows;
  requireShape(fits, "divergenceUpdate", `${x.shape.join(" × ")} and ${y.shape.join(" × ")}`);
  for (let t = 0; t < rows; t++) {
    const row = state.data.subarray(t * divergenceColumns, (t + 1) * divergenceColumns);
    const [xs, ys] = [x, y].map(({ data }) => data.subarray(t * n, (t + 1) * n));
    const before =
      row[5] === 0 ? null : { peaks: [...row.subarray(0, 5)] as unknown as Peaks, sums: [...row.subarray(5, 9)] as unknown as Sums };
    const peaks = peaksOf(xs, ys, offset, before?.peaks ?? null);
    const sums = sumsOf(xs, ys, peaks);
    const moved = before && movedTo(peaks, before.peaks, before.sums);
    row.set([...peaks, ...sums.map((s, i) => s + (moved?.[i] ?? 0))]);
    const target = targets.uints[t] - offset;
    if (target >= 0 && target < n) row.set([xs[target], ys[target]], 9);
  }
}

function peaksOf(xs: Float64Array, ys: Float64Array, offset: number, before: Peaks | null): Peaks {
  let [a, xa, ya, b, yb] = before ?? [0, Number.NEGATIVE_INFINITY, 0, 0, Number.NEGATIVE_INFINITY];
  for (let j = 0; j < xs.length; j++) {
    if (xs[j] > xa) [a, xa, ya] = [offset + j, xs[j], ys[j]];
    if (ys[j] > yb) [b, yb] = [offset + j, ys[j]];
  }
  return [a, xa, ya, b, yb];
}

function sumsOf(xs: Float64Array, ys: Float64Array, peaks: Peaks): Sums {
  const r = referenceOf(peaks);
  const xa = peaks[1];
  let [P, Q, D, G] = [0, 0, 0, 0];
  for (let j = 0; j < xs.length; j++) {
    const weight = exp(xs[j] - xa);
    const product = exp(ys[j] - r);
    const delta = ys[j] - xs[j] - (r - xa);
    P += weight;
    Q += product;
    D += weight * delta;
    G += rest(weight, product, delta);
  }
  return [P, Q, D, G];
}

/** weight·(e^δ − 1 − δ), where `product` is weight·e^δ. */
export function rest(weight: number, product: number, delta: number): number {
  if (Math.abs(delta) > 0.5) return product - weight * (1 + delta);
  let [sum, term] = [0, weight * delta];
  // 0.5¹⁶/17! is far below float64's last digit.
  for (let k = 2; k < 18; k++) {
    term *= delta / k;
    sum += term;
  }
  return sum;
}

/** The sums as they are relative to other peaks. */
function movedTo(peaks: Peaks, before: Peaks, [P, Q, D, G]: Sums): Sums {
  const [r, oldR] = [referenceOf(peaks), referenceOf(before)];
  const shift = oldR - before[1] - (r - peaks[1]);
  const fall = exp(before[1] - peaks[1]);
  const drop = exp(oldR - r);
  const over = rest(fall, drop, shift);
  return [fall * P, drop * Q, fall * (D + shift * P), drop * G + over * P + (fall * shift + over) * D];
}
