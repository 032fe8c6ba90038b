import { dims, isSquare, requireShape, rowsOf } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import type { Matmul } from "./matmul";
import { panelOf, rowRuns, slice } from "./panels";
import { copyBlock } from "./rows";

/** Rows and columns of a diagonal block; the kernels that take one have 32 lanes. */
const blockSize = 32;

const requireDead = (dead: GpuTensor, n: number, name: string, what: string) =>
  requireShape(dead.kind === "uint" && dead.shape.length === 1 && dead.shape[0] === n, name, `${what} and dead inputs of ${dims(dead)}`);

export function deadInputs(gpu: Gpu, H: GpuTensor): GpuTensor {
  requireShape(isSquare(H), "deadInputs", dims(H));
  const [n] = H.shape;
  const dead = gpu.make([n], "uint");
  const values = diagonal(gpu, H);
  gpu.each("deadInputs", n, { bind: [values, dead], u32: [n] });
  gpu.free(values);
  return dead;
}

export function damp(gpu: Gpu, A: GpuTensor, fraction: number, dead: "lifted" | "kept" = "lifted"): void {
  requireShape(isSquare(A), "damp", dims(A));
  const [n] = A.shape;
  const lifts = dead === "lifted" ? 1 : 0;
  const values = diagonal(gpu, A);
  const mean = meanOf(gpu, values, lifts);
  gpu.rowwise([A], (at, { first, count }) =>
    gpu.each("damp", count, { bind: [mean, at(A)], u32: [count, n, first, lifts], f32: [fraction] }),
  );
  gpu.free(mean, values);
}

/** float [1]: the mean of a diagonal, of the live part of it or of all; 1 if there is none. */
export function meanOf(gpu: Gpu, diagonal: GpuTensor, live: 0 | 1): GpuTensor {
  const mean = gpu.make([1]);
  gpu.run("diagonalMean", { bind: [diagonal, mean], u32: [diagonal.shape[0], live], groups: 1 });
  return mean;
}

export function zeroColumns(gpu: Gpu, W: GpuTensor, dead: GpuTensor): GpuTensor {
  const { columns } = rowsOf(W);
  requireDead(dead, columns, "zeroColumns", dims(W));
  const y = gpu.make(W.shape);
  gpu.rowwise([W, y], (at, { count }) =>
    gpu.each("zeroColumns", count * columns, { bind: [at(W), dead, at(y)], u32: [count * columns, columns] }),
  );
  return y;
}

export function mirror(gpu: Gpu, H: GpuTensor): void {
  requireShape(isSquare(H), "mirror", dims(H));
  const [n] = H.shape;
  const runs = [...rowRuns(H)];
  for (const [i, { first, count }] of runs.entries()) {
    const rows = slice(H, runs[i]);
    gpu.each("mirror", count * n, { bind: [rows], u32: [count, n, first] });
    // The rest of these rows are columns of the panels below.
    for (const below of runs.slice(i + 1)) {
      const u32 = [count, n, first, below.first, below.count];
      gpu.each("mirrorBelow", count * below.count, { bind: [slice(H, below), rows], u32 });
    }
  }
}

export function diagonal(gpu: Gpu, A: GpuTensor): GpuTensor {
  requireShape(isSquare(A), "diagonal", dims(A));
  const [n] = A.shape;
  const y = gpu.make([n]);
  gpu.rowwise([A], (at, { first, count }) => gpu.each("diagonal", count, { bind: [at(A), y], u32: [count, n, first] }));
  return y;
}

/** In place: zeros outside the triangle. */
export function keepTriangle(gpu: Gpu, A: GpuTensor, which: "lower" | "strictly upper"): void {
  requireShape(isSquare(A), which === "lower" ? "keepLower" : "keepStrictUpper", dims(A));
  const [n] = A.shape;
  const constants = { UPPER: which === "lower" ? 0 : 1 };
  gpu.rowwise([A], (at, { first, count }) => gpu.each("keepTriangle", count * n, { constants, bind: [at(A)], u32: [count, n, first] }));
}

/** The block columns of an n × n triangle. */
function* blocks(n: number): Generator<{ first: number; size: number }> {
  for (let first = 0; first < n; first += blockSize) yield { first, size: Math.min(blockSize, n - first) };
}

/**
 * L Lᵀ = A by block columns, left-looking and in place: a block column of A minus what the columns before it explain (one product that reads A and L, and
 * writes a temporary), its diagonal block factorised by one workgroup, the rest multiplied by that block's inverse. Nothing is read back: after a bad pivot
 * the rest is computed from an identity block and means nothing, but stays finite as long as A is.
 */
export function cholesky(gpu: Gpu, matmul: Matmul, A: GpuTensor): GpuTensor {
  requireShape(isSquare(A), "cholesky", dims(A));
  const [n] = A.shape;
  const status = gpu.make([1]);
  gpu.clear(status);
  const column = gpu.make([n, blockSize]);
  const inverse = gpu.make([blockSize, blockSize]);
  const residual = gpu.make([n, blockSize]);
  for (const { first, size } of blocks(n)) {
    const rows = n - first;
    const above = { tensor: A, row: first };
    const add = { tensor: A, row: first, column: first };
    matmul.run({ form: "NT", m: rows, n: size, k: first, a: above, b: above, c: { tensor: column }, add, alpha: -1 });
    const at = panelOf(A, first);
    gpu.run("choleskyBlock", { bind: [panelOf(column, 0).panel, at.panel, status], u32: [n, at.row, first, size], groups: 1, work: 1e5 });
    if (rows === size) break;
    gpu.run("triangleInverse", { bind: [at.panel, inverse], u32: [n, at.row, first, 0, blockSize, 0], groups: 1, work: 1e5 });
    const below = { tensor: column, row: size };
    const c = { tensor: A, row: first + size, column: first };
    const shape = { form: "NT", m: rows - size, n: size, k: size } as const;
    const inverted = { tensor: inverse };
    matmul.run({ ...shape, a: below, b: inverted, c });
    // One step of refinement: a product with the block's inverse loses digits that a substitution keeps, and GPTQ's factor magnifies them.
    const block = { tensor: A, row: first, column: first };
    const missed = { tensor: residual };
    matmul.run({ ...shape, a: c, b: block, c: missed, add: below, alpha: -1 });
    matmul.run({ ...shape, a: missed, b: inverted, c, add: "c" });
  }
  keepTriangle(gpu, A, "lower");
  gpu.free(column, inverse, residual);
  return status;
}

/** (Y·Uᵀ)·U: two products with a triangle, at the matmul kernel's full rate. */
export function solveRight(gpu: Gpu, matmul: Matmul, U: GpuTensor, Y: GpuTensor): GpuTensor {
  const { rows: m, columns: n } = rowsOf(Y);
  requireShape(isSquare(U) && U.shape[0] === n, "solveRight", dims(U, Y));
  const [half, X] = [gpu.make(Y.shape), gpu.make(Y.shape)];
  const b = { tensor: U };
  matmul.run({ form: "NT", m, n, k: n, a: { tensor: Y }, b, c: { tensor: half }, part: "lower-b" });
  matmul.run({ form: "NN", m, n, k: n, a: { tensor: half }, b, c: { tensor: X }, part: "upper-b" });
  gpu.free(half);
  return X;
}

/** L⁻¹ by block rows, in place: minus the inverse of the diagonal block times (this row of L times the rows of L⁻¹ found so far). */
export function invertTriangle(gpu: Gpu, matmul: Matmul, L: GpuTensor): void {
  requireShape(isSquare(L), "invertTriangle", dims(L));
  const [n] = L.shape;
  const inverses = invertedBlocks(gpu, L);
  const row = { tensor: gpu.make([blockSize, n]) };
  for (const { first, size } of blocks(n)) {
    if (first > 0) {
      const here = { tensor: L, row: first };
      matmul.run({ form: "NN", m: size, n: first, k: first, a: here, b: { tensor: L }, c: row, part: "lower-b" });
      matmul.run({ form: "NN", m: size, n: first, k: size, a: { tensor: inverses, row: first }, b: row, c: here, alpha: -1 });
    }
    copyBlock(gpu, { tensor: inverses, row: first, column: 0 }, { tensor: L, row: first, column: first }, size, size);
  }
  gpu.free(inverses, row.tensor);
}

/** The inverses of all diagonal blocks of L one below the other, [n rounded up to whole blocks, 32]; see shaders/triangle_inverse.wgsl. */
function invertedBlocks(gpu: Gpu, L: GpuTensor): GpuTensor {
  const [n] = L.shape;
  const inverses = gpu.make([Math.ceil(n / blockSize) * blockSize, blockSize]);
  gpu.rowwise([L], (at, { first, count }) => {
    const groups = Math.ceil(count / blockSize);
    const to = panelOf(inverses, first);
    const u32 = [n, 0, first, to.row * blockSize, blockSize, blockSize ** 2];
    gpu.run("triangleInverse", { bind: [at(L), to.panel], u32, groups, work: 1e5 * groups });
  });
  return inverses;
}
