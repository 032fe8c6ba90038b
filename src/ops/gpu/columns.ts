import { type ColumnRounding, elements } from "../ops";
import type { Gpu, GpuTensor } from "./gpu";
import { zeroConstant } from "./grids";
import type { Matmul } from "./products";
import { dims, isMatrix, isSquare, requireShape } from "./shape";

const own = (t: unknown) => t as GpuTensor;

/** The columns that one invocation of round_panel.wgsl holds. */
const widestPanel = 128;

/** Stable order of the inputs by descending H_jj. */
export function descendingDiagonal(gpu: Gpu, H: GpuTensor): GpuTensor {
  requireShape(isSquare(H), "descendingDiagonal", dims(H));
  const [n] = H.shape;
  const index = gpu.make([n], "uint");
  gpu.each("diagonalRank", n, { bind: [H, index], u32: [n], work: 4 * n * n });
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
  gpu.each("permuteSquare", n * n, { constants, bind: [A, index ?? A, y], u32: [n] });
  return y;
}

/** Columns taken from, or with `scatter` put to, the places that the index names. */
export function permuteColumns(gpu: Gpu, A: GpuTensor, index: GpuTensor, scatter: boolean): GpuTensor {
  const name = scatter ? "scatterColumns" : "gatherColumns";
  requireShape(isMatrix(A), name, dims(A));
  requireIndex(index, A.shape[1], name, dims(A));
  const y = gpu.make(A.shape, A.kind);
  gpu.each("permuteColumns", elements(A.shape), {
    constants: { SCATTER: scatter ? 1 : 0 },
    bind: [A, index, y],
    u32: [elements(A.shape), A.shape[1]],
  });
  return y;
}

/**
 * Rounds the panel (rows never talk: one invocation a row), then a product takes its errors off all columns after it; with P another adds
 * what the rounded columns' values contribute.
 */
export function roundPanel(gpu: Gpu, matmul: Matmul, job: ColumnRounding, from: number, to: number): void {
  requireJob(job, from, to);
  const [W, U, codes, P] = [own(job.W), own(job.U), own(job.codes), job.P ? own(job.P) : null];
  const [scales, zeros] = [own(job.grid.scales), own(job.grid.zeros)];
  const [rows, n] = W.shape;
  const count = to - from;
  // Errors and values side by side, each in rows that start at multiples of 4, for the matmul kernels.
  const values = Math.ceil(count / 4) * 4;
  const errors = P ? gpu.make([rows, 2 * values]) : own(job.errors);
  const stride = errors.shape[1];
  // Shared memory holds the panel, 512 bytes a row; SwiftShader compiles half a millisecond for each float of it.
  const WG = gpu.software ? 4 : 32;
  gpu.run("roundPanel", {
    constants: { ...zeroConstant(job.grid.kind), INDEXED: job.order ? 1 : 0, WITH_P: P ? 1 : 0, WG },
    bind: [W, U, P ?? U, scales, zeros, own(job.order ?? job.grid.scales), codes, errors],
    u32: [rows, n, from, count, stride, scales.shape[1], job.groupSize < 0 ? n : job.groupSize, 2 ** job.bits - 1, values],
    groups: Math.ceil(rows / WG),
    work: rows * count * (count + 20),
  });
  const rest = { start: from * n + to, stride: n };
  const shape = { form: "NN", m: rows, n: n - to, k: count, c: { tensor: W, start: to, stride: n }, add: "c" } as const;
  matmul.run({ ...shape, a: { tensor: errors, stride }, b: { tensor: U, ...rest }, alpha: -1 });
  if (!P) return;
  matmul.run({ ...shape, a: { tensor: errors, start: values, stride }, b: { tensor: P, ...rest } });
  gpu.free(errors);
}

function requireJob({ W, U, codes, errors, grid, order, P }: ColumnRounding, from: number, to: number): void {
  const [rows, n] = W.shape;
  const fits =
    isMatrix(W) && isSquare(U) && U.shape[0] === n && dims(codes) === dims(W) && codes.kind === "uint" && errors.shape[0] === rows;
  requireShape(
    fits && grid.scales.shape[0] === rows,
    "roundPanel",
    `${dims(W, U)}, ${dims(codes, errors)} and a grid of ${dims(grid.scales)}`,
  );
  requireShape(!P || dims(P) === dims(U), "roundPanel", `P of ${P ? dims(P) : ""} beside U of ${dims(U)}`);
  const inside = to > from && to - from <= Math.min(widestPanel, errors.shape[1]) && from >= 0 && to <= n;
  requireShape(inside, "roundPanel", `columns ${from} to ${to} of ${n}`);
  if (order) requireIndex(own(order), n, "roundPanel", dims(W));
}

const wordsOf = (columns: number, bits: number): number => Math.ceil((columns * bits) / 32);

export function pack(gpu: Gpu, codes: GpuTensor, bits: number): GpuTensor {
  requireShape(isMatrix(codes) && codes.kind === "uint", "pack", `${codes.kind}s of ${dims(codes)}`);
  const [rows, columns] = codes.shape;
  const perRow = wordsOf(columns, bits);
  const words = gpu.make([rows, perRow], "uint");
  gpu.each("packBits", rows * perRow, { bind: [codes, words], u32: [rows * perRow, perRow, columns, bits] });
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
  gpu.each("unpackBits", rows * columns, { bind: [words, codes], u32: [rows * columns, perRow, columns, bits] });
  return codes;
}
