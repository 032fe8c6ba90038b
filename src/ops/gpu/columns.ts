import { type ColumnRounding, elements } from "../ops";
import { dims, isMatrix, isSquare, requireShape } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import { zeroConstant } from "./grids";
import { aligned, type Matmul } from "./matmul";
import { isCut, rowRuns, slice } from "./panels";
import { copyBlock } from "./rows";
import { diagonal, meanOf } from "./solve";

const own = (t: unknown) => t as GpuTensor;

/** The columns that one invocation of round_columns.wgsl holds. */
const widestBlock = 128;

/** Stable order of the inputs by descending H_jj, dead ones taken for average. */
export function descendingDiagonal(gpu: Gpu, H: GpuTensor): GpuTensor {
  requireShape(isSquare(H), "descendingDiagonal", dims(H));
  const [n] = H.shape;
  const index = gpu.make([n], "uint");
  const values = diagonal(gpu, H);
  const mean = meanOf(gpu, values, 1);
  gpu.each("diagonalRank", n, { bind: [values, mean, index], u32: [n], work: 4 * n * n });
  gpu.free(values, mean);
  return index;
}

const requireIndex = (index: GpuTensor, n: number, name: string, what: string) =>
  requireShape(index.kind === "uint" && elements(index.shape) === n, name, `${what} and an index of ${dims(index)}`);

export function permuteSquare(gpu: Gpu, A: GpuTensor, index: GpuTensor | null, reversed: boolean): GpuTensor {
  const [n] = A.shape;
  requireShape(isSquare(A), "permuteSquare", dims(A));
  if (index) requireIndex(index, n, "permuteSquare", dims(A));
  const y = gpu.make(A.shape);
  const constants = { INDEXED: index ? 1 : 0, REVERSED: reversed ? 1 : 0 };
  for (const to of rowRuns(y))
    for (const from of rowRuns(A)) {
      const bind = [slice(A, from), index ?? slice(A, from), slice(y, to)];
      gpu.each("permuteSquare", to.count * n, { constants, bind, u32: [to.count, n, to.first, from.first, from.count] });
    }
  return y;
}

/** Columns taken from, or with `scatter` put to, the places that the index names. */
export function permuteColumns(gpu: Gpu, A: GpuTensor, index: GpuTensor, scatter: boolean): GpuTensor {
  const name = scatter ? "scatterColumns" : "gatherColumns";
  requireShape(isMatrix(A), name, dims(A));
  requireIndex(index, A.shape[1], name, dims(A));
  const y = gpu.make(A.shape, A.kind);
  const [, columns] = A.shape;
  const constants = { SCATTER: scatter ? 1 : 0 };
  gpu.rowwise([A, y], (at, { count }) =>
    gpu.each("permuteColumns", count * columns, { constants, bind: [at(A), index, at(y)], u32: [count * columns, columns] }),
  );
  return y;
}

/**
 * Rounds columns [from, to) (rows are independent: one invocation a row), then a product takes their errors off all columns after them; with P
 * another adds what the rounded columns' values contribute.
 */
export function roundColumns(gpu: Gpu, matmul: Matmul, job: ColumnRounding, from: number, to: number): void {
  requireJob(job, from, to);
  const [W, U, codes, P] = [own(job.W), own(job.U), own(job.codes), job.P ? own(job.P) : null];
  const [scales, zeros] = [own(job.grid.scales), own(job.grid.zeros)];
  const [rows, n] = W.shape;
  const count = to - from;
  // Errors and values side by side, each in rows that start at multiples of 4, for the matmul kernels.
  const values = Math.ceil(count / 4) * 4;
  const errors = P ? gpu.make([rows, 2 * values]) : own(job.errors);
  const stride = errors.shape[1];
  // Shared memory holds the columns, 512 bytes a row; SwiftShader compiles half a millisecond for each float of it.
  const WG = gpu.software ? 4 : 32;
  const constants = { ...zeroConstant(job.grid.kind), INDEXED: job.order ? 1 : 0, WITH_P: P ? 1 : 0, WG };
  const [diagonalOfU, diagonalOfP] = [transposedSquare(gpu, U, from, count), P && transposedSquare(gpu, P, from, count)];
  gpu.rowwise([W, scales, zeros, codes, errors], (at, run) =>
    gpu.run("roundColumns", {
      constants,
      bind: [
        ...[at(W), diagonalOfU, diagonalOfP ?? diagonalOfU, at(scales), at(zeros)],
        ...[own(job.order ?? diagonalOfU), at(codes), at(errors)],
      ],
      u32: [run.count, n, from, count, stride, scales.shape[1], job.groupSize < 0 ? n : job.groupSize, 2 ** job.bits - 1, values],
      groups: Math.ceil(run.count / WG),
      work: run.count * count * (count + 20),
    }),
  );
  propagate(gpu, matmul, { W, errors, from: 0, factors: U, alpha: -1 }, from, to);
  if (P) {
    propagate(gpu, matmul, { W, errors, from: values, factors: P, alpha: 1 }, from, to);
    gpu.free(errors);
  }
  gpu.free(diagonalOfU);
  if (diagonalOfP) gpu.free(diagonalOfP);
}

/** A's square of so many rows and columns at its diagonal, transposed: the kernel reads down its columns. */
function transposedSquare(gpu: Gpu, A: GpuTensor, from: number, count: number): GpuTensor {
  const square = gpu.make([count, count]);
  copyBlock(gpu, { tensor: A, row: from, column: from }, { tensor: square, row: 0, column: 0, transposed: true }, count, count);
  return square;
}

interface Errors {
  W: GpuTensor;
  errors: GpuTensor;
  /** The column of `errors` that they begin in. */
  from: number;
  factors: GpuTensor;
  alpha: number;
}

/** Propagates what rounding left: W's columns from `to` on += alpha · errors · (rows [from, to) of the factors). */
function propagate(gpu: Gpu, matmul: Matmul, { W, errors, from: column, factors, alpha }: Errors, from: number, to: number): void {
  const [rows, n] = W.shape;
  const shape = { form: "NN", m: rows, k: to - from, a: { tensor: errors, column }, add: "c", alpha } as const;
  if (!isCut(factors)) {
    matmul.run({ ...shape, n: n - to, b: { tensor: factors, row: from, column: to }, c: { tensor: W, column: to } });
    return;
  }
  // The rows may lie in two panels: a copy makes one product of them, which rounds once.
  const quads = aligned({ tensor: factors, row: from, column: to });
  const width = Math.floor(gpu.panelLimit / (4 * (to - from)) / 64) * 64;
  for (let at = to; at < n; at += width) {
    const columns = Math.min(width, n - at);
    const block = gpu.make([to - from, columns]);
    copyBlock(gpu, { tensor: factors, row: from, column: at }, { tensor: block, row: 0, column: 0 }, to - from, columns);
    matmul.run({ ...shape, quads, n: columns, b: { tensor: block }, c: { tensor: W, column: at } });
    gpu.free(block);
  }
}

function requireJob({ W, U, codes, errors, grid, order, P }: ColumnRounding, from: number, to: number): void {
  const [rows, n] = W.shape;
  const fits =
    isMatrix(W) && isSquare(U) && U.shape[0] === n && dims(codes) === dims(W) && codes.kind === "uint" && errors.shape[0] === rows;
  requireShape(
    fits && grid.scales.shape[0] === rows,
    "roundColumns",
    `${dims(W, U)}, ${dims(codes, errors)} and a grid of ${dims(grid.scales)}`,
  );
  requireShape(!P || dims(P) === dims(U), "roundColumns", `P of ${P ? dims(P) : ""} beside U of ${dims(U)}`);
  const inside = to > from && to - from <= Math.min(widestBlock, errors.shape[1]) && from >= 0 && to <= n;
  requireShape(inside, "roundColumns", `columns ${from} to ${to} of ${n}`);
  if (order) requireIndex(own(order), n, "roundColumns", dims(W));
}

const wordsOf = (columns: number, bits: number): number => Math.ceil((columns * bits) / 32);

export function pack(gpu: Gpu, codes: GpuTensor, bits: number): GpuTensor {
  requireShape(isMatrix(codes) && codes.kind === "uint", "pack", `${codes.kind}s of ${dims(codes)}`);
  const [rows, columns] = codes.shape;
  const perRow = wordsOf(columns, bits);
  const words = gpu.make([rows, perRow], "uint");
  gpu.rowwise([codes, words], (at, { count }) =>
    gpu.each("packBits", count * perRow, { bind: [at(codes), at(words)], u32: [count * perRow, perRow, columns, bits] }),
  );
  return words;
}

export function unpack(gpu: Gpu, words: GpuTensor, bits: number, columns: number): GpuTensor {
  const [rows, perRow] = words.shape;
  requireShape(
    words.kind === "uint" && perRow === wordsOf(columns, bits),
    "unpack",
    `${dims(words)} words for ${columns} columns of ${bits} bits`,
  );
  const codes = gpu.make([rows, columns], "uint");
  gpu.rowwise([words, codes], (at, { count }) =>
    gpu.each("unpackBits", count * columns, { bind: [at(words), at(codes)], u32: [count * columns, perRow, columns, bits] }),
  );
  return codes;
}
