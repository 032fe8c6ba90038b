import { elements, type RopeShape, type Tensor } from "../ops";
import type { Gpu, GpuTensor } from "./gpu";
import { dims, isMatrix, requireShape, rowsOf } from "./shape";

const size = (t: Tensor) => elements(t.shape);
const vectors = (t: Tensor) => Math.ceil(size(t) / 4);

export function scale(gpu: Gpu, t: GpuTensor, factor: number): void {
  gpu.each("scale", vectors(t), { bind: [t], u32: [vectors(t)], f32: [factor] });
}

export function add(gpu: Gpu, a: GpuTensor, b: GpuTensor, factor = 1): GpuTensor {
  requireShape(size(a) === size(b), "add", dims(a, b));
  const y = gpu.make(a.shape);
  gpu.each("add", vectors(a), { bind: [a, b, y], u32: [vectors(a)], f32: [factor] });
  return y;
}

/** a + factor · b as an unevaluated sum of two f32: itself rounded, and what that lost. */
export function addExactly(gpu: Gpu, a: GpuTensor, b: GpuTensor, factor = 1): { sum: GpuTensor; rest: GpuTensor } {
  requireShape(size(a) === size(b), "addExactly", dims(a, b));
  const [sum, rest] = [gpu.make(a.shape), gpu.make(a.shape)];
  gpu.each("addExactly", size(a), { bind: [a, b, sum, rest], u32: [size(a)], f32: [factor] });
  return { sum, rest };
}

export function addBias(gpu: Gpu, x: GpuTensor, b: GpuTensor): GpuTensor {
  const { columns } = rowsOf(x);
  requireShape(size(b) === columns, "addBias", dims(x, b));
  const y = gpu.make(x.shape);
  gpu.each("addBias", size(x), { bind: [x, b, y], u32: [size(x), columns] });
  return y;
}

export function swiglu(gpu: Gpu, gate: GpuTensor, up: GpuTensor): GpuTensor {
  requireShape(size(gate) === size(up), "swiglu", dims(gate, up));
  const y = gpu.make(gate.shape);
  gpu.each("swiglu", vectors(gate), { bind: [gate, up, y], u32: [vectors(gate)] });
  return y;
}

export function rmsNorm(gpu: Gpu, x: GpuTensor, w: GpuTensor, eps: number): GpuTensor {
  const n = size(w);
  requireShape(n > 0 && size(x) % n === 0, "rmsNorm", dims(x, w));
  const rows = size(x) / n;
  const y = gpu.make(x.shape);
  gpu.eachRow("rmsNorm", rows, { bind: [x, w, y], u32: [rows, n], f32: [eps], work: 10 * size(x) });
  return y;
}

export function rope(gpu: Gpu, x: GpuTensor, cos: GpuTensor, sin: GpuTensor, { headDim, length }: RopeShape): GpuTensor {
  const { columns } = rowsOf(x);
  const half = headDim / 2;
  const tables = Math.min(size(cos), size(sin)) >= length * half;
  requireShape(
    columns % headDim === 0 && Number.isInteger(half) && tables,
    "rope",
    `${dims(x)} with heads of ${headDim} and tables of ${dims(cos, sin)}`,
  );
  const y = gpu.make(x.shape);
  const pairs = size(x) / 2;
  gpu.each("rope", pairs, { bind: [x, cos, sin, y], u32: [pairs, columns, half, length] });
  return y;
}

/** Before any logits: the least f32 stands for −∞, which WGSL need not support. */
export function crossEntropyStates(tokens: number): Float32Array {
  return Float32Array.from({ length: 3 * tokens }, (_, i) => (i % 3 === 0 ? -3.4028234663852886e38 : 0));
}

export function crossEntropyUpdate(gpu: Gpu, state: GpuTensor, logits: GpuTensor, targets: GpuTensor, offset: number): void {
  const { rows, columns } = rowsOf(logits);
  const fits = isMatrix(state) && state.shape[0] === rows && state.shape[1] === 3 && size(targets) === rows && targets.kind === "uint";
  requireShape(fits, "crossEntropyUpdate", `${dims(state, logits)} and targets of ${dims(targets)}`);
  gpu.eachRow("crossEntropy", rows, { bind: [state, logits, targets], u32: [rows, columns, offset], work: 20 * size(logits) });
}

/** Elements of one partial sum: short enough that float32 loses nothing that matters. */
const span = 4096;

const partialSums = (gpu: Gpu, name: string, PRODUCT: 0 | 1, a: GpuTensor, b: GpuTensor): GpuTensor => {
  requireShape(size(a) === size(b), name, dims(a, b));
  const groups = Math.max(1, Math.ceil(size(a) / span));
  const y = gpu.make([groups, 2]);
  gpu.eachRow("sums", groups, { constants: { PRODUCT }, bind: [a, b, y], u32: [size(a), span, groups], work: 10 * size(a) });
  return y;
};

export const squaredDifference = (gpu: Gpu, a: GpuTensor, b: GpuTensor): GpuTensor => partialSums(gpu, "squaredDifference", 0, a, b);
export const innerProducts = (gpu: Gpu, a: GpuTensor, b: GpuTensor): GpuTensor => partialSums(gpu, "innerProducts", 1, a, b);

/** Each column (or row) times its factor, or divided by it. */
export function scaleBy(gpu: Gpu, A: GpuTensor, s: GpuTensor, by: "columns" | "rows", divide = false): GpuTensor {
  const { rows, columns } = rowsOf(A);
  requireShape(size(s) === (by === "rows" ? rows : columns), by === "rows" ? "scaleRows" : "scaleColumns", dims(A, s));
  const y = gpu.make(A.shape);
  const constants = { BY_ROWS: by === "rows" ? 1 : 0, DIVIDE: divide ? 1 : 0 };
  gpu.each("scaleBy", size(A), { constants, bind: [A, s, y], u32: [size(A), columns] });
  return y;
}

const mostF32 = 3.4028234663852886e38;

export function affine(gpu: Gpu, A: GpuTensor, factor: number, offset: number, low: number, high: number): GpuTensor {
  const y = gpu.make(A.shape);
  // WGSL need not know infinities.
  const f32 = [factor, offset, Math.max(low, -mostF32), Math.min(high, mostF32)];
  gpu.each("affine", vectors(A), { bind: [A, y], u32: [vectors(A)], f32 });
  return y;
}

export function addColumnSums(gpu: Gpu, sums: GpuTensor, x: GpuTensor): void {
  const { rows, columns } = rowsOf(x);
  requireShape(size(sums) === columns, "addColumnSums", `${dims(x)} into ${dims(sums)}`);
  const WG = 16; // one invocation is long work here, so few share a workgroup
  gpu.run("columnSums", { constants: { WG }, bind: [sums, x], u32: [rows, columns], groups: Math.ceil(columns / WG), work: 5 * size(x) });
}

export function everyRow(gpu: Gpu, x: GpuTensor, first: number, step: number): GpuTensor {
  const { rows, columns } = rowsOf(x);
  requireShape(first >= 0 && first < rows && step > 0, "everyRow", `row ${first} of ${dims(x)}, steps of ${step}`);
  const count = Math.ceil((rows - first) / step);
  const y = gpu.make([count, columns]);
  gpu.each("everyRow", count * columns, { bind: [x, y], u32: [count * columns, columns, first, step] });
  return y;
}
