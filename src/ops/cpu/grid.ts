import { toF16 } from "../../io/dtype";
import type { GridSpec } from "../ops";
import { type CpuTensor, empty, requireShape, uints } from "./tensor";

/** Half to even, as WGSL's `round` and numpy's `rint`; Math.round is half up. */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return below % 2 === 0 ? below : below + 1;
}

export const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

const leastF16 = 2 ** -24;

/** The range of one group's grid: it holds 0, and is [−1, 1] where there is nothing. */
function rangeOf(w: Float64Array, symmetric: boolean): { min: number; max: number } {
  let min = 0;
  let max = 0;
  for (const x of w) {
    min = Math.min(min, x);
    max = Math.max(max, x);
  }
  if (symmetric) {
    max = Math.max(-min, max);
    min = -max;
  }
  return min === 0 && max === 0 ? { min: -1, max: 1 } : { min, max };
}

interface Point {
  s: number;
  z: number;
}

const shrinks = 80;

/** Scale (rounded to f16) and zero of one group; with `mse` of the shrunken range that errs least. */
export function groupGrid(w: Float64Array, { bits, symmetric, mse = false }: Pick<GridSpec, "bits" | "symmetric" | "mse">): Point {
  const top = 2 ** bits - 1;
  const { min, max } = rangeOf(w, symmetric);
  const at = (p: number): Point => {
    const s = Math.max(toF16((p * (max - min)) / top), leastF16);
    return { s, z: symmetric ? 2 ** (bits - 1) : clamp(roundHalfEven((-p * min) / s), 0, top) };
  };
  if (!mse) return at(1);
  const candidates = Array.from({ length: shrinks }, (_, i) => at(1 - i / 100));
  const errors = candidates.map(({ s, z }) =>
    w.reduce((sum, x) => sum + Math.abs(s * (clamp(roundHalfEven(x / s) + z, 0, top) - z) - x) ** 2.4, 0),
  );
  return candidates[errors.indexOf(Math.min(...errors))];
}

export function grid(W: CpuTensor, spec: GridSpec, rest?: CpuTensor | null): { scales: CpuTensor; zeros: CpuTensor } {
  const [out, n] = W.shape;
  const g = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(n % g === 0, "grid", `${W.shape.join(" × ")} in groups of ${spec.groupSize}`);
  const made = { scales: empty([out, n / g]), zeros: empty([out, n / g]) };
  regrid(made, W, spec, 0, n, rest);
  return made;
}

export function regrid(
  { scales, zeros }: { scales: CpuTensor; zeros: CpuTensor },
  W: CpuTensor,
  spec: GridSpec,
  from: number,
  to: number,
  rest?: CpuTensor | null,
): void {
  const [out, n] = W.shape;
  const g = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(from % g === 0 && to % g === 0, "regrid", `columns ${from} to ${to} in groups of ${g}`);
  for (let row = 0; row < out; row++)
    for (let c = from; c < to; c += g) {
      const at = row * n + c;
      const w = W.data.subarray(at, at + g);
      const { s, z } = groupGrid(rest ? w.map((x, k) => x + rest.data[at + k]) : w, spec);
      scales.data[(row * n + c) / g] = s;
      zeros.data[(row * n + c) / g] = z;
    }
}

export function encode(W: CpuTensor, scales: CpuTensor, zeros: CpuTensor, bits: number): CpuTensor {
  const g = W.data.length / scales.data.length;
  const code = (w: number, i: number) => {
    const at = Math.floor(i / g);
    return clamp(roundHalfEven(w / scales.data[at]) + zeros.data[at], 0, 2 ** bits - 1);
  };
  return uints(Uint32Array.from(W.data, code), W.shape);
}

export function decode(codes: CpuTensor, scales: CpuTensor, zeros: CpuTensor, groupOf?: CpuTensor, half = false): CpuTensor {
  const n = codes.shape[1];
  const groups = scales.shape[1];
  const W = empty(codes.shape);
  for (let i = 0; i < W.data.length; i++) {
    const c = i % n;
    const at = Math.floor(i / n) * groups + (groupOf ? groupOf.uints[c] : Math.floor((c * groups) / n));
    const w = scales.data[at] * (codes.uints[i] - zeros.data[at]);
    W.data[i] = half ? toF16(w) : w;
  }
  return W;
}
