import { type GridKind, gridKinds } from "../grid-kinds";
import { elements, f16Digits, type Grid, type GridSpec, type Tensor } from "../ops";
import { dims, isMatrix, requireShape } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";

const size = (t: Tensor) => elements(t.shape);
const own = (t: Tensor) => t as GpuTensor;

/** The constant that says to encoding and decoding kernels what a grid's `zeros` are. */
export const zeroConstant = (kind: GridKind) => ({ REAL_ZERO: gridKinds[kind].zeros === "real" ? 1 : 0 });

export function grid(gpu: Gpu, W: GpuTensor, spec: GridSpec, rest?: GpuTensor | null): Grid {
  const [out, n] = W.shape;
  const run = spec.groupSize < 0 ? n : spec.groupSize;
  requireShape(isMatrix(W) && run > 0 && n % run === 0, "grid", `${dims(W)} in groups of ${spec.groupSize}`);
  const kind = spec.kind ?? "integer-zero";
  requireShape(!spec.symmetric || gridKinds[kind].symmetric, "grid", `a symmetric grid with ${gridKinds[kind].label}`);
  const made = { kind, scales: gpu.make([out, n / run]), zeros: gpu.make([out, n / run]) };
  regrid(gpu, made, W, spec, 0, n, rest);
  return made;
}

export function regrid(
  gpu: Gpu,
  { kind, scales, zeros }: Grid,
  W: GpuTensor,
  { bits, groupSize, symmetric, mse, scaleBits = f16Digits }: GridSpec,
  from: number,
  to: number,
  rest?: GpuTensor | null,
): void {
  const [out, n] = W.shape;
  const run = groupSize < 0 ? n : groupSize;
  const whole = from % run === 0 && to % run === 0 && from >= 0 && to <= n;
  requireShape(whole, "regrid", `columns ${from} to ${to} of ${n} in groups of ${run}`);
  requireShape(
    dims(scales) === `${out} × ${n / run}` && dims(zeros) === dims(scales),
    "regrid",
    `${dims(W)} with a grid of ${dims(scales)}`,
  );
  const span = (to - from) / run;
  requireShape(!rest || dims(rest) === dims(W), "regrid", `${dims(W)} with a rest of ${rest ? dims(rest) : ""}`);
  const constants = {
    ...zeroConstant(kind),
    SYMMETRIC: symmetric ? 1 : 0,
    MSE: mse ? 1 : 0,
    WITH_REST: rest ? 1 : 0,
    SCALE_BITS: scaleBits,
  };
  gpu.rowwise([W, own(scales), own(zeros), ...(rest ? [rest] : [])], (at, { count }) =>
    gpu.each("grid", count * span, {
      constants,
      bind: [at(W), at(rest ?? W), at(own(scales)), at(own(zeros))],
      u32: [count * span, span, from / run, n / run, run, 2 ** bits - 1],
      // The search tries 80 ranges, each with a power for every weight.
      work: (mse ? 4000 : 10) * count * (to - from),
    }),
  );
}

function requireGrid(t: Tensor, { scales, zeros }: Grid, name: string): void {
  const fits = isMatrix(t) && isMatrix(scales) && scales.shape[0] === t.shape[0] && dims(zeros) === dims(scales);
  requireShape(fits, name, `${dims(t)} with a grid of ${dims(scales, zeros)}`);
}

export function encode(gpu: Gpu, W: GpuTensor, g: Grid, bits: number): GpuTensor {
  requireGrid(W, g, "encode");
  const run = W.shape[1] / g.scales.shape[1];
  requireShape(Number.isInteger(run), "encode", `${dims(W)} with a grid of ${dims(g.scales)}`);
  const codes = gpu.make(W.shape, "uint");
  const [scales, zeros] = [own(g.scales), own(g.zeros)];
  gpu.rowwise([W, scales, zeros, codes], (at, { count }) => {
    const n = count * W.shape[1];
    const bind = [at(W), at(scales), at(zeros), at(codes)];
    gpu.each("encode", n, { constants: zeroConstant(g.kind), bind, u32: [n, run, 2 ** bits - 1] });
  });
  return codes;
}

export function decode(gpu: Gpu, codes: GpuTensor, g: Grid, groupOf?: GpuTensor, half = false): GpuTensor {
  requireGrid(codes, g, "decode");
  const [n, groups] = [codes.shape[1], g.scales.shape[1]];
  const fits = groupOf ? groupOf.kind === "uint" && size(groupOf) === n : n % groups === 0;
  requireShape(
    fits && codes.kind === "uint",
    "decode",
    `${codes.kind}s of ${dims(codes)} in ${groups} groups${groupOf ? ` by ${dims(groupOf)}` : ""}`,
  );
  const W = gpu.make(codes.shape);
  const constants = { ...zeroConstant(g.kind), INDEXED: groupOf ? 1 : 0, HALF: half ? 1 : 0 };
  const [scales, zeros] = [own(g.scales), own(g.zeros)];
  gpu.rowwise([codes, scales, zeros, W], (at, { count }) => {
    const bind = [at(codes), at(scales), at(zeros), groupOf ?? at(codes), at(W)];
    gpu.each("decode", count * n, { constants, bind, u32: [count * n, n, groups, Math.ceil(n / groups)] });
  });
  return W;
}
