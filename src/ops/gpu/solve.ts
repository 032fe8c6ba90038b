import type { Gpu, GpuTensor } from "./gpu";
import type { Matmul } from "./products";
import { dims, isSquare, requireShape, rowsOf } from "./shape";

/** Columns of one panel; the kernels of the diagonal blocks have 32 lanes. */
const panelWidth = 32;

const requireDead = (dead: GpuTensor, n: number, name: string, what: string) =>
  requireShape(dead.kind === "uint" && dead.shape.length === 1 && dead.shape[0] === n, name, `${what} and dead inputs of ${dims(dead)}`);

export function deadInputs(gpu: Gpu, H: GpuTensor): GpuTensor {
  requireShape(isSquare(H), "deadInputs", dims(H));
  const [n] = H.shape;
  const dead = gpu.make([n], "uint");
  gpu.each("deadInputs", n, { bind: [H, dead], u32: [n] });
  return dead;
}

export function damped(gpu: Gpu, H: GpuTensor, dead: GpuTensor, fraction: number): GpuTensor {
  const [n] = H.shape;
  requireShape(isSquare(H), "damped", dims(H));
  requireDead(dead, n, "damped", dims(H));
  const mean = gpu.make([1]);
  const A = gpu.make(H.shape);
  gpu.run("diagonalMean", { bind: [H, dead, mean], u32: [n], groups: 1 });
  gpu.each("damp", n * n, { bind: [H, dead, mean, A], u32: [n], f32: [fraction] });
  gpu.free(mean);
  return A;
}

export function zeroColumns(gpu: Gpu, W: GpuTensor, dead: GpuTensor): GpuTensor {
  const { rows, columns } = rowsOf(W);
  requireDead(dead, columns, "zeroColumns", dims(W));
  const y = gpu.make(W.shape);
  gpu.each("zeroColumns", rows * columns, { bind: [W, dead, y], u32: [rows * columns, columns] });
  return y;
}

export function mirror(gpu: Gpu, H: GpuTensor): void {
  requireShape(isSquare(H), "mirror", dims(H));
  const [n] = H.shape;
  gpu.each("mirror", n * n, { bind: [H], u32: [n] });
}

export function diagonal(gpu: Gpu, A: GpuTensor): GpuTensor {
  requireShape(isSquare(A), "diagonal", dims(A));
  const [n] = A.shape;
  const y = gpu.make([n]);
  gpu.each("diagonal", n, { bind: [A, y], u32: [n] });
  return y;
}

export function strictUpper(gpu: Gpu, A: GpuTensor): GpuTensor {
  requireShape(isSquare(A), "strictUpper", dims(A));
  const [n] = A.shape;
  const y = gpu.make([n, n]);
  gpu.each("strictUpper", n * n, { bind: [A, y], u32: [n] });
  return y;
}

/** The block columns of an n × n triangle. */
function* panels(n: number): Generator<{ first: number; size: number; number: number }> {
  for (let first = 0; first < n; first += panelWidth) yield { first, size: Math.min(panelWidth, n - first), number: first / panelWidth };
}

/**
 * L Lᵀ = A by block columns, left-looking: a panel of A minus what the columns before it explain (one product that reads L and writes a
 * temporary), its diagonal block factorised by one workgroup, the rest multiplied by that block's inverse. A is not touched; nothing is
 * read back: after a bad pivot the rest is computed from an identity block and means nothing, but stays finite as long as A is.
 */
export function cholesky(gpu: Gpu, matmul: Matmul, A: GpuTensor): { L: GpuTensor; status: GpuTensor } {
  requireShape(isSquare(A), "cholesky", dims(A));
  const [n] = A.shape;
  const L = gpu.make([n, n]);
  const status = gpu.make([1]);
  gpu.clear(L);
  gpu.clear(status);
  const panel = gpu.make([n, panelWidth]);
  const inverse = gpu.make([panelWidth, panelWidth]);
  const residual = gpu.make([n, panelWidth]);
  for (const { first, size, number } of panels(n)) {
    const rows = n - first;
    const above = { tensor: L, start: first * n, stride: n };
    const add = { tensor: A, start: first * n + first, stride: n };
    matmul.run({ form: "NT", m: rows, n: size, k: first, a: above, b: above, c: { tensor: panel, stride: panelWidth }, add, alpha: -1 });
    gpu.run("choleskyBlock", { bind: [panel, L, status], u32: [n, first, size], groups: 1, work: 1e5 });
    if (rows === size) break;
    gpu.run("triangleInverse", { bind: [L, inverse], u32: [n, number, panelWidth, 0], groups: 1, work: 1e5 });
    const below = { tensor: panel, start: size * panelWidth, stride: panelWidth };
    const c = { tensor: L, start: (first + size) * n + first, stride: n };
    const shape = { form: "NT", m: rows - size, n: size, k: size } as const;
    const inverted = { tensor: inverse, stride: panelWidth };
    matmul.run({ ...shape, a: below, b: inverted, c });
    // One step of refinement: a product with the block's inverse loses digits that a substitution keeps, and GPTQ's factor magnifies them.
    const block = { tensor: L, start: first * n + first, stride: n };
    const missed = { tensor: residual, stride: panelWidth };
    matmul.run({ ...shape, a: c, b: block, c: missed, add: below, alpha: -1 });
    matmul.run({ ...shape, a: missed, b: inverted, c, add: "c" });
  }
  gpu.free(panel, inverse, residual);
  return { L, status };
}

/**
 * X with X L Lᵀ = Y: forward Z Lᵀ = Y from the first panel to the last, then backward X L = Z from the last to the first. A panel is its old
 * value minus what the solved panels explain (one product into a temporary), times the inverse of its diagonal block.
 */
export function solveRight(gpu: Gpu, matmul: Matmul, L: GpuTensor, Y: GpuTensor): GpuTensor {
  const { rows: m, columns: n } = rowsOf(Y);
  requireShape(isSquare(L) && L.shape[0] === n, "solveRight", dims(L, Y));
  const X = gpu.make(Y.shape);
  const all = [...panels(n)];
  const inverses = gpu.make([all.length, panelWidth, panelWidth]);
  invertBlocks(gpu, L, inverses, panelWidth, panelWidth ** 2);
  const panel = gpu.make([m, panelWidth]);
  const solvedPanel = { tensor: panel, stride: panelWidth };
  const inverse = (number: number) => ({ tensor: inverses, start: number * panelWidth ** 2, stride: panelWidth });
  for (const { first, size, number } of all) {
    const solved = { tensor: X, stride: n };
    const row = { tensor: L, start: first * n, stride: n };
    matmul.run({
      form: "NT",
      m,
      n: size,
      k: first,
      a: solved,
      b: row,
      c: solvedPanel,
      add: { tensor: Y, start: first, stride: n },
      alpha: -1,
    });
    matmul.run({ form: "NT", m, n: size, k: size, a: solvedPanel, b: inverse(number), c: { tensor: X, start: first, stride: n } });
  }
  for (const { first, size, number } of all.reverse()) {
    const next = first + size;
    const solved = { tensor: X, start: next, stride: n };
    const below = { tensor: L, start: next * n + first, stride: n };
    matmul.run({
      form: "NN",
      m,
      n: size,
      k: n - next,
      a: solved,
      b: below,
      c: solvedPanel,
      add: { tensor: X, start: first, stride: n },
      alpha: -1,
    });
    matmul.run({ form: "NN", m, n: size, k: size, a: solvedPanel, b: inverse(number), c: { tensor: X, start: first, stride: n } });
  }
  gpu.free(inverses, panel);
  return X;
}

/** L⁻¹ by block rows: minus the inverse of the diagonal block times (this row of L times the rows of L⁻¹ found so far). */
export function triangularInverse(gpu: Gpu, matmul: Matmul, L: GpuTensor): GpuTensor {
  requireShape(isSquare(L), "triangularInverse", dims(L));
  const [n] = L.shape;
  const X = gpu.make([n, n]);
  gpu.clear(X);
  invertBlocks(gpu, L, X, n, panelWidth * (n + 1));
  const inverses = gpu.make([Math.ceil(n / panelWidth), panelWidth, panelWidth]);
  invertBlocks(gpu, L, inverses, panelWidth, panelWidth ** 2);
  const row = gpu.make([panelWidth, n]);
  for (const { first, size, number } of panels(n)) {
    if (first === 0) continue;
    const product = { tensor: row, stride: n };
    const left = { tensor: L, start: first * n, stride: n };
    matmul.run({ form: "NN", m: size, n: first, k: first, a: left, b: { tensor: X, stride: n }, c: product, part: "lower-b" });
    const inverse = { tensor: inverses, start: number * panelWidth ** 2, stride: panelWidth };
    matmul.run({
      form: "NN",
      m: size,
      n: first,
      k: size,
      a: inverse,
      b: product,
      c: { tensor: X, start: first * n, stride: n },
      alpha: -1,
    });
  }
  gpu.free(inverses, row);
  return X;
}

/** The inverses of all diagonal blocks of L; see shaders/triangle_inverse.wgsl. */
function invertBlocks(gpu: Gpu, L: GpuTensor, to: GpuTensor, stride: number, step: number): void {
  const [n] = L.shape;
  const blocks = Math.ceil(n / panelWidth);
  gpu.run("triangleInverse", { bind: [L, to], u32: [n, 0, stride, step], groups: blocks, work: 1e5 * blocks });
}
