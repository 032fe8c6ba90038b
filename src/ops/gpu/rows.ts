import { divergenceColumns } from "../divergence";
import { elements, type RopeShape, type Tensor } from "../ops";
import { dims, isMatrix, requireShape, rowsOf } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import { isCut, panelOf, panelShape, type Slice } from "./panels";

const size = (t: Tensor) => elements(t.shape);
/** Vectors of four in what is bound. */
const vectors = ({ bytes }: Slice) => bytes / 16;
/** Elements of so many rows. */
const perRow = (t: Tensor) => panelShape(t.shape).columns;

export function scale(gpu: Gpu, t: GpuTensor, factor: number): void {
  gpu.rowwise([t], (at) => gpu.each("scale", vectors(at(t)), { bind: [at(t)], u32: [vectors(at(t))], f32: [factor] }));
}

export function add(gpu: Gpu, a: GpuTensor, b: GpuTensor, factor = 1): GpuTensor {
  requireShape(size(a) === size(b), "add", dims(a, b));
  const y = gpu.make(a.shape);
  gpu.rowwise([a, b, y], (at) => {
    const n = vectors(at(a));
    gpu.each("add", n, { bind: [at(a), at(b), at(y)], u32: [n], f32: [factor] });
  });
  return y;
}

/** a + factor · b as an unevaluated sum of two f32: itself rounded, and what that lost. */
export function addExactly(gpu: Gpu, a: GpuTensor, b: GpuTensor, factor = 1): { sum: GpuTensor; rest: GpuTensor } {
  requireShape(size(a) === size(b), "addExactly", dims(a, b));
  const [sum, rest] = [gpu.make(a.shape), gpu.make(a.shape)];
  gpu.rowwise([a, b, sum, rest], (at, { count }) => {
    const n = count * perRow(a);
    gpu.each("addExactly", n, { bind: [at(a), at(b), at(sum), at(rest)], u32: [n], f32: [factor] });
  });
  return { sum, rest };
}

export function addBias(gpu: Gpu, x: GpuTensor, b: GpuTensor): GpuTensor {
  const { columns } = rowsOf(x);
  requireShape(size(b) === columns, "addBias", dims(x, b));
  const y = gpu.make(x.shape);
  gpu.rowwise([x, y], (at, { count }) => {
    const n = count * perRow(x);
    gpu.each("addBias", n, { bind: [at(x), b, at(y)], u32: [n, columns] });
  });
  return y;
}

export function swiglu(gpu: Gpu, gate: GpuTensor, up: GpuTensor): GpuTensor {
  requireShape(size(gate) === size(up), "swiglu", dims(gate, up));
  const y = gpu.make(gate.shape);
  gpu.rowwise([gate, up, y], (at) => {
    const n = vectors(at(gate));
    gpu.each("swiglu", n, { bind: [at(gate), at(up), at(y)], u32: [n] });
  });
  return y;
}

export function rmsNorm(gpu: Gpu, x: GpuTensor, w: GpuTensor, eps: number): GpuTensor {
  const n = size(w);
  requireShape(n > 0 && size(x) % n === 0 && (!isCut(x) || perRow(x) % n === 0), "rmsNorm", dims(x, w));
  const y = gpu.make(x.shape);
  gpu.rowwise([x, y], (at, { count }) => {
    const rows = (count * perRow(x)) / n;
    gpu.eachRow("rmsNorm", rows, { bind: [at(x), w, at(y)], u32: [rows, n], f32: [eps], work: 10 * rows * n });
  });
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
  gpu.rowwise([x, y], (at, { first, count }) => {
    const pairs = (count * perRow(x)) / 2;
    gpu.each("rope", pairs, { bind: [at(x), cos, sin, at(y)], u32: [pairs, columns, half, length, first % length] });
  });
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
  gpu.rowwise([state, logits, targets], (at, { count }) => {
    const bind = [at(state), at(logits), at(targets)];
    gpu.eachRow("crossEntropy", count, { bind, u32: [count, columns, offset], work: 20 * count * columns });
  });
}

export function divergenceStart(gpu: Gpu, tokens: number): GpuTensor {
  const state = gpu.make([tokens, divergenceColumns]);
  gpu.clear(state);
  return state;
}

export function divergenceUpdate(gpu: Gpu, state: GpuTensor, x: GpuTensor, y: GpuTensor, targets: GpuTensor, offset: number): void {
  const { rows, columns } = rowsOf(x);
  const isState = isMatrix(state) && state.shape[0] === rows && state.shape[1] === divergenceColumns;
  const fits = isState && isMatrix(y) && y.shape[0] === rows && y.shape[1] === columns && size(targets) === rows && targets.kind === "uint";
  requireShape(fits, "divergenceUpdate", `${dims(state, x, y)} and targets of ${dims(targets)}`);
  gpu.rowwise([state, x, y, targets], (at, { count }) => {
    const bind = [at(state), at(x), at(y), at(targets)];
    gpu.eachRow("divergence", count, { bind, u32: [count, columns, offset], work: 80 * count * columns });
  });
}

/** Elements of one partial sum at most: short enough that float32 loses nothing that matters. */
const span = 4096;

/** Partial sums of the elements of whole rows (as many as `span` holds), or of pieces of a row that is longer; so none lies in two panels. */
const partialSums = (gpu: Gpu, name: string, PRODUCT: 0 | 1, a: GpuTensor, b: GpuTensor): GpuTensor => {
  requireShape(size(a) === size(b), name, dims(a, b));
  const { rows, columns } = panelShape(a.shape);
  // A power of two, which divides the rows of every panel but the last.
  const together = Math.min(64, 2 ** Math.floor(Math.log2(Math.max(1, span / columns))));
  const pieces = Math.max(1, Math.ceil(columns / span));
  const sums = gpu.make([Math.max(1, Math.ceil(rows / together)) * pieces, 2]);
  gpu.rowwise([a, b], (at, { first, count }) => {
    const groups = Math.ceil(count / together) * pieces;
    const u32 = [count, columns, together, pieces, span, (first / together) * pieces];
    gpu.eachRow("sums", groups, { constants: { PRODUCT }, bind: [at(a), at(b), sums], u32, work: 10 * count * columns });
  });
  return sums;
};

export const squaredDifference = (gpu: Gpu, a: GpuTensor, b: GpuTensor): GpuTensor => partialSums(gpu, "squaredDifference", 0, a, b);
export const innerProducts = (gpu: Gpu, a: GpuTensor, b: GpuTensor): GpuTensor => partialSums(gpu, "innerProducts", 1, a, b);

/** Each column (or row) times its factor, or divided by it. */
export function scaleBy(gpu: Gpu, A: GpuTensor, s: GpuTensor, by: "columns" | "rows", divide = false): GpuTensor {
  const { rows, columns } = rowsOf(A);
  requireShape(size(s) === (by === "rows" ? rows : columns), by === "rows" ? "scaleRows" : "scaleColumns", dims(A, s));
  const y = gpu.make(A.shape);
  const constants = { BY_ROWS: by === "rows" ? 1 : 0, DIVIDE: divide ? 1 : 0 };
  gpu.rowwise(by === "rows" ? [A, y, s] : [A, y], (at, { count }) => {
    const n = count * perRow(A);
    gpu.each("scaleBy", n, { constants, bind: [at(A), by === "rows" ? at(s) : s, at(y)], u32: [n, columns] });
  });
  return y;
}

const mostF32 = 3.4028234663852886e38;

export function affine(gpu: Gpu, A: GpuTensor, factor: number, offset: number, low: number, high: number): GpuTensor {
  const y = gpu.make(A.shape);
  // WGSL need not know infinities.
  const f32 = [factor, offset, Math.max(low, -mostF32), Math.min(high, mostF32)];
  gpu.rowwise([A, y], (at) => gpu.each("affine", vectors(at(A)), { bind: [at(A), at(y)], u32: [vectors(at(A))], f32 }));
  return y;
}

export function addColumnSums(gpu: Gpu, sums: GpuTensor, x: GpuTensor): void {
  const { columns } = rowsOf(x);
  requireShape(size(sums) === columns, "addColumnSums", `${dims(x)} into ${dims(sums)}`);
  const WG = 16; // one invocation is long work here, so few share a workgroup
  // By itself first: with the sums so far, one long f32 sum would lose digits.
  const own = gpu.make([columns]);
  gpu.clear(own);
  gpu.rowwise([x], (at, { count }) => {
    const work = 5 * count * columns;
    gpu.run("columnSums", { constants: { WG }, bind: [own, at(x)], u32: [count, columns], groups: Math.ceil(columns / WG), work });
  });
  copyBlock(gpu, { tensor: own, row: 0, column: 0 }, { tensor: sums, row: 0, column: 0, add: true }, columns, 1);
  gpu.free(own);
}

/** Where a block begins. */
interface Block {
  tensor: GpuTensor;
  row: number;
  column: number;
}

interface Source extends Block {
  /** Distance of its rows; default 1. */
  step?: number;
}

interface Target extends Block {
  /** It is added to what is there. */
  add?: boolean;
  /** Its rows become columns, of a tensor that is not cut. */
  transposed?: boolean;
}

/** Rows of one matrix, or a part of each, put into another. Each is cut at its own panels. */
export function copyBlock(gpu: Gpu, from: Source, to: Target, rows: number, columns: number): void {
  const { step = 1 } = from;
  const [fromStride, toStride] = [perRow(from.tensor), perRow(to.tensor)];
  for (let i = 0; i < rows; ) {
    const source = panelOf(from.tensor, from.row + i * step);
    const target = panelOf(to.tensor, to.transposed ? to.row : to.row + i);
    const left = Math.ceil((source.rows.count - source.row) / step);
    const count = Math.min(rows - i, left, to.transposed ? rows : target.rows.count - target.row);
    const start = target.row * toStride + to.column;
    gpu.each("copyBlock", count * columns, {
      constants: { ADD: to.add ? 1 : 0 },
      bind: [source.panel, target.panel],
      u32: [
        ...[count * columns, columns, source.row * fromStride + from.column, fromStride * step],
        ...(to.transposed ? [start + i, 1, toStride] : [start, toStride, 1]),
      ],
    });
    i += count;
  }
}

export function everyRow(gpu: Gpu, x: GpuTensor, first: number, step: number, count?: number): GpuTensor {
  const { rows, columns } = rowsOf(x);
  const chosen = count ?? Math.ceil((rows - first) / step);
  const inside = first >= 0 && first < rows && step > 0 && first + (chosen - 1) * step < rows;
  requireShape(inside, "everyRow", `row ${first} of ${dims(x)}, ${chosen} steps of ${step}`);
  const y = gpu.make([chosen, columns]);
  copyBlock(gpu, { tensor: x, row: first, column: 0, step }, { tensor: y, row: 0, column: 0 }, chosen, columns);
  return y;
}
