import { toF16 } from "../../io/dtype";
import { type GridKind, gridKinds, pointOf } from "../grid-kinds";
import type { GridSpec } from "../ops";
import { requireShape } from "../shape";
import { codeOf, groupScaling } from "./groups";
import { type CpuTensor, empty, uints } from "./tensor";

export interface CpuGrid {
  kind: GridKind;
  scales: CpuTensor;
  zeros: CpuTensor;
  factors?: CpuTensor;
}

export function grid(W: CpuTensor, spec: GridSpec, rest?: CpuTensor | null): CpuGrid {
  const [out, n] = W.shape;
  const { groupSize, symmetric, kind = "integer-zero" } = spec;
  const g = groupSize < 0 ? n : groupSize;
  requireShape(n % g === 0, "grid", `${W.shape.join(" × ")} in groups of ${groupSize}`);
  requireShape(!symmetric || gridKinds[kind].symmetric, "grid", `a symmetric grid with ${gridKinds[kind].label}`);
  const made = { kind, scales: empty([out, n / g]), zeros: empty([out, n / g]) };
  regrid(made, W, spec, 0, n, rest);
  return made;
}

export function regrid(
  { kind, scales, zeros }: CpuGrid,
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
      const { scale, zero } = groupScaling(rest ? w.map((x, k) => x + rest.data[at + k]) : w, { ...spec, kind });
      scales.data[at / g] = scale;
      zeros.data[at / g] = zero;
    }
}

export function encode(W: CpuTensor, { kind, scales, zeros }: CpuGrid, bits: number): CpuTensor {
  const g = W.data.length / scales.data.length;
  const top = 2 ** bits - 1;
  const code = (w: number, i: number) => {
    const at = Math.floor(i / g);
    return codeOf(kind, scales.data[at], zeros.data[at], w, top);
  };
  return uints(Uint32Array.from(W.data, code), W.shape);
}

export function decode(codes: CpuTensor, { kind, scales, zeros }: CpuGrid, groupOf?: CpuTensor, half = false): CpuTensor {
  const n = codes.shape[1];
  const groups = scales.shape[1];
  const W = empty(codes.shape);
  for (let i = 0; i < W.data.length; i++) {
    const c = i % n;
    const at = Math.floor(i / n) * groups + (groupOf ? groupOf.uints[c] : Math.floor((c * groups) / n));
    const w = pointOf(kind, scales.data[at], zeros.data[at], codes.uints[i]);
    W.data[i] = half ? toF16(w) : w;
  }
  return W;
}
