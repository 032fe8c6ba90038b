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

/** Scale (rounded to f16) and zero of one group. */
export function groupGrid(w: Float64Array, bits: number, symmetric: boolean): { s: number; z: number } {
  const top = 2 ** bits - 1;
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
  if (min === 0 && max === 0) [min, max] = [-1, 1];
  const s = Math.max(toF16((max - min) / top), leastF16);
  return { s, z: symmetric ? 2 ** (bits - 1) : clamp(roundHalfEven(-min / s), 0, top) };
}

export function grid(W: CpuTensor, { bits, groupSize, symmetric }: GridSpec): { scales: CpuTensor; zeros: CpuTensor } {
  const [out, n] = W.shape;
  const g = groupSize < 0 ? n : groupSize;
  requireShape(n % g === 0, "grid", `${W.shape.join(" × ")} in groups of ${groupSize}`);
  const scales = empty([out, n / g]);
  const zeros = empty([out, n / g]);
  for (let i = 0; i < scales.data.length; i++) {
    const { s, z } = groupGrid(W.data.subarray(i * g, (i + 1) * g), bits, symmetric);
    scales.data[i] = s;
    zeros.data[i] = z;
  }
  return { scales, zeros };
}

export function encode(W: CpuTensor, scales: CpuTensor, zeros: CpuTensor, bits: number): CpuTensor {
  const g = W.data.length / scales.data.length;
  const code = (w: number, i: number) => {
    const at = Math.floor(i / g);
    return clamp(roundHalfEven(w / scales.data[at]) + zeros.data[at], 0, 2 ** bits - 1);
  };
  return uints(Uint32Array.from(W.data, code), W.shape);
}

export function decode(codes: CpuTensor, scales: CpuTensor, zeros: CpuTensor): CpuTensor {
  const g = codes.uints.length / scales.data.length;
  const W = empty(codes.shape);
  for (let i = 0; i < W.data.length; i++) {
    const at = Math.floor(i / g);
    W.data[i] = scales.data[at] * (codes.uints[i] - zeros.data[at]);
  }
  return W;
}
