import { describe, expect, it } from "vitest";
import type { GpuOptions } from "../../src/ops/gpu/index";
import type { GpuTensor } from "../../src/ops/gpu/panels";
import { boundaries, panelBytes, rowsPerPanel } from "../../src/ops/gpu/panels";
import { type GridSpec, type Ops, type Tensor, tensorsOf } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { inScope, randoms } from "./helpers";

/** What one binding holds in these tests. */
const limit = 64 * 1024;
const limits = { maxStorageBufferBindingSize: limit };

/** Rows, columns and tokens of the cases: none a multiple of a panel's rows; columns that only the tiled matmul kernel takes; all multiples. */
interface Sizes {
  out: number;
  n: number;
  T: number;
}
const sizes: Sizes[] = [
  { out: 300, n: 200, T: 700 },
  { out: 130, n: 251, T: 530 },
  { out: 128, n: 192, T: 512 },
];

type Case = (ops: Ops, size: Sizes) => Tensor[];

const matrix = (ops: Ops, rows: number, columns: number, seed = 1) => ops.fromFloats(randoms(seed)([rows, columns]), [rows, columns]);
const vector = (ops: Ops, n: number, seed = 2) => ops.fromFloats(randoms(seed)([n]), [n]);
const order = (ops: Ops, n: number) =>
  ops.fromUints(
    Array.from({ length: n }, (_, i) => (i * 7 + 3) % n),
    [n],
  );

/** H + λI of more tokens than inputs. */
function hessian(ops: Ops, n: number, T: number): Tensor {
  const H = ops.zeros([n, n]);
  ops.gram(H, matrix(ops, T, n, 5));
  ops.mirror(H);
  ops.damp(H, 0.01);
  return H;
}

/** U with UᵀU = A⁻¹, as GPTQ makes it. */
function factor(ops: Ops, A: Tensor): Tensor {
  const L = ops.permuteSquare(A, null, true);
  ops.cholesky(L);
  ops.invertTriangle(L);
  return ops.permuteSquare(L, null, true);
}

const spec: GridSpec = { bits: 3, groupSize: -1, symmetric: false };

function rounded(ops: Ops, { out, n, T }: Sizes, withP: boolean): Tensor[] {
  const U = factor(ops, hessian(ops, n, T));
  const W = matrix(ops, out, n);
  const codes = ops.unpack(ops.pack(ops.encode(W, ops.grid(W, spec), 3), 3), 3, n);
  const P = withP ? matrix(ops, n, n, 9) : null;
  if (P) ops.keepStrictUpper(P);
  const job = { W, U, codes, errors: ops.zeros([out, 128]), grid: ops.grid(W, spec), bits: 3, groupSize: -1, order: order(ops, n), P };
  for (let from = 0; from < n; from += 100) ops.roundColumns(job, from, Math.min(n, from + 100));
  return [W, codes];
}

/** Every operation that takes or makes matrices, by its name in Ops. */
const cases: Partial<Record<keyof Ops, Case>> = {
  fromFloats: (ops, { out, n }) => [matrix(ops, out, n)],
  fromUints: (ops, { out, n }) => [
    ops.fromUints(
      Array.from({ length: out * n }, (_, i) => i),
      [out, n],
    ),
  ],
  fromBytes: (ops, { out, n }) =>
    (["F32", "F16", "BF16"] as const).map((dtype) => {
      // Small numbers of either half: their highest bits are 0.
      const bytes = Uint8Array.from({ length: out * n * (dtype === "F32" ? 4 : 2) }, (_, i) => (i * 37) % (i % 2 ? 60 : 251));
      return ops.fromBytes(bytes, dtype, [out, n]);
    }),
  zeros: (ops, { out, n }) => {
    ops.free(matrix(ops, out, n));
    return [ops.zeros([out, n])];
  },
  linear: (ops, { out, n, T }) => [
    ops.linear(matrix(ops, T, n), matrix(ops, n, n, 3)),
    ops.linear(matrix(ops, 9, n), matrix(ops, out, n, 3)),
  ],
  matmul: (ops, { out, n }) => [ops.matmul(matrix(ops, out, n), matrix(ops, n, n, 3))],
  gram: (ops, { n, T }) => {
    const H = ops.zeros([n, n]);
    ops.gram(H, matrix(ops, T, n));
    ops.gram(H, matrix(ops, T, n, 3));
    ops.mirror(H);
    return [H];
  },
  crossGram: (ops, { n, T }) => {
    const C = ops.zeros([n, n]);
    for (const seed of [1, 2]) ops.crossGram(C, matrix(ops, T, n, seed), matrix(ops, T, n, 3));
    return [C];
  },
  mirror: (ops, { n }) => {
    const H = matrix(ops, n, n);
    ops.mirror(H);
    return [H];
  },
  scale: (ops, { out, n }) => {
    const W = matrix(ops, out, n);
    ops.scale(W, 0.3);
    return [W];
  },
  add: (ops, { out, n }) => [ops.add(matrix(ops, out, n), matrix(ops, out, n, 3), 0.7)],
  addExactly: (ops, { out, n }) => Object.values(ops.addExactly(matrix(ops, out, n), matrix(ops, out, n, 3), 0.7)),
  addBias: (ops, { out, n }) => [ops.addBias(matrix(ops, out, n), vector(ops, n))],
  rmsNorm: (ops, { out, n }) => [
    ops.rmsNorm(matrix(ops, out, n), vector(ops, n), 1e-5),
    ops.rmsNorm(matrix(ops, out, 200), vector(ops, 50), 1e-5),
  ],
  rope: (ops, { T }) => [
    ops.rope(matrix(ops, T - (T % 150), 200), matrix(ops, 150, 25), matrix(ops, 150, 25, 3), { headDim: 50, length: 150 }),
  ],
  attention: (ops) =>
    [
      { heads: 4, kvHeads: 2, headDim: 52, length: 150, slidingWindow: 0 },
      { heads: 4, kvHeads: 1, headDim: 51, length: 101, slidingWindow: 30 },
    ].map((shape) => {
      const rows = 3 * shape.length;
      const [k, v] = [5, 6].map((seed) => matrix(ops, rows, shape.kvHeads * shape.headDim, seed));
      return ops.attention(matrix(ops, rows, shape.heads * shape.headDim), k, v, shape);
    }),
  swiglu: (ops, { out, n }) => [ops.swiglu(matrix(ops, out, n), matrix(ops, out, n, 3))],
  scaleColumns: (ops, { out, n }) => [false, true].map((divide) => ops.scaleColumns(matrix(ops, out, n), vector(ops, n), divide)),
  scaleRows: (ops, { out, n }) => [false, true].map((divide) => ops.scaleRows(matrix(ops, out, n), vector(ops, out), divide)),
  everyRow: (ops, { n, T }) => {
    const x = matrix(ops, T, n);
    return [ops.everyRow(x, 3, 2), ops.everyRow(x, 70, 1), ops.everyRow(x, 0, 1, 401), ops.everyRow(x, 50, 3, 100)];
  },
  affine: (ops, { out, n }) => [ops.affine(matrix(ops, out, n), 2, -0.1, -1, Number.POSITIVE_INFINITY)],
  addColumnSums: (ops, { n, T }) => {
    const sums = ops.zeros([n]);
    for (const seed of [1, 2]) ops.addColumnSums(sums, matrix(ops, T, n, seed));
    return [sums];
  },
  crossEntropyStart: (ops) => [ops.crossEntropyStart(6000)],
  crossEntropyUpdate: (ops, { n, T }) => {
    const state = ops.crossEntropyStart(T);
    const targets = ops.fromUints(
      Array.from({ length: T }, (_, i) => (i * 31) % (2 * n)),
      [T],
    );
    for (const [i, offset] of [0, n].entries()) ops.crossEntropyUpdate(state, matrix(ops, T, n, i + 1), targets, offset);
    return [state];
  },
  divergenceStart: (ops) => [ops.divergenceStart(6000)],
  divergenceUpdate: (ops, { n, T }) => {
    const state = ops.divergenceStart(T);
    const targets = ops.fromUints(
      Array.from({ length: T }, (_, i) => (i * 31) % (2 * n)),
      [T],
    );
    for (const [i, offset] of [0, n].entries())
      ops.divergenceUpdate(state, matrix(ops, T, n, i + 1), matrix(ops, T, n, i + 3), targets, offset);
    return [state];
  },
  deadInputs: (ops, { n }) => [ops.deadInputs(matrix(ops, n, n))],
  damp: (ops, { n }) =>
    (["lifted", "kept"] as const).map((dead) => {
      const A = matrix(ops, n, n);
      ops.damp(A, 0.1, dead);
      return A;
    }),
  cholesky: (ops, { n, T }) => {
    const A = hessian(ops, n, T);
    return [ops.cholesky(A), A];
  },
  solveRight: (ops, { out, n, T }) => [ops.solveRight(factor(ops, hessian(ops, n, T)), matrix(ops, out, n))],
  zeroColumns: (ops, { out, n }) => [
    ops.zeroColumns(
      matrix(ops, out, n),
      ops.fromUints(
        Array.from({ length: n }, (_, i) => i % 2),
        [n],
      ),
    ),
  ],
  diagonal: (ops, { n }) => [ops.diagonal(matrix(ops, n, n))],
  keepStrictUpper: (ops, { n }) => {
    const A = matrix(ops, n, n);
    ops.keepStrictUpper(A);
    return [A];
  },
  invertTriangle: (ops, { n, T }) => [factor(ops, hessian(ops, n, T))],
  descendingDiagonal: (ops, { n }) => [ops.descendingDiagonal(matrix(ops, n, n))],
  permuteSquare: (ops, { n }) => [false, true].map((reversed) => ops.permuteSquare(matrix(ops, n, n), order(ops, n), reversed)),
  gatherColumns: (ops, { out, n }) => [ops.gatherColumns(matrix(ops, out, n), order(ops, n))],
  scatterColumns: (ops, { out, n }) => [ops.scatterColumns(matrix(ops, out, n), order(ops, n))],
  grid: (ops, { out, n }) =>
    (["integer-zero", "real-zero"] as const).flatMap((kind) => {
      const g = ops.grid(matrix(ops, out, n), { ...spec, kind, mse: true }, matrix(ops, out, n, 3));
      return [g.scales, g.zeros];
    }),
  searchGrid: (ops, { out }) => {
    const W = matrix(ops, out, 256);
    const plain = ops.searchGrid(W, { kind: "signed", bits: 4, groupSize: 32, symmetric: true }, null);
    const supers = ops.searchGrid(W, { kind: "q4_k", bits: 4, groupSize: 32, symmetric: false }, vector(ops, 256));
    return [...tensorsOf(plain), ...tensorsOf(supers)];
  },
  encode: (ops, { out, n }) => [ops.encode(matrix(ops, out, n), ops.grid(matrix(ops, out, n, 3), spec), 3)],
  decode: (ops, { out, n }) => {
    const W = matrix(ops, out, n);
    const g = ops.grid(W, spec);
    return [false, true].map((half) => ops.decode(ops.encode(W, g, 3), g, undefined, half));
  },
  regrid: (ops, { out, n }) => {
    const g = ops.grid(matrix(ops, out, n), spec);
    ops.regrid(g, matrix(ops, out, n, 3), spec, 0, n);
    return [g.scales, g.zeros];
  },
  roundColumns: (ops, size) => [...rounded(ops, size, false), ...rounded(ops, size, true)],
  clipSearch: (ops, { out, n, T }) =>
    (n % 40 === 0 ? [-1, 40] : [-1]).map((groupSize) => ops.clipSearch(matrix(ops, out, n), hessian(ops, n, T), { ...spec, groupSize })),
  pack: (ops, { out, n }) => [ops.pack(ops.encode(matrix(ops, out, n), ops.grid(matrix(ops, out, n), spec), 3), 3)],
  unpack: (ops, { out, n }) => [ops.unpack(ops.pack(ops.encode(matrix(ops, out, n), ops.grid(matrix(ops, out, n), spec), 3), 3), 3, n)],
  squaredDifference: (ops, { out, n }) => [ops.squaredDifference(matrix(ops, out, n), matrix(ops, out, n, 3))],
  innerProducts: (ops, { out, n }) => [ops.innerProducts(matrix(ops, out, n), matrix(ops, out, n, 3))],
};

/** All bits of what a case gives, NaN being one. */
const bitsOf = (ops: Ops, work: Case, size: Sizes) =>
  inScope(ops, async () => {
    const bits: Uint32Array[] = [];
    for (const t of work(ops, size)) bits.push(await ops.readUints(t));
    return bits;
  });

/** The operations that take products. */
const products = [
  "linear",
  "matmul",
  "gram",
  "crossGram",
  "attention",
  "cholesky",
  "solveRight",
  "triangularInverse",
  "roundColumns",
  "clipSearch",
];

/** Sizes of each operation: for the tiled kernel those that only it takes, for the other one the rest; without a product one is enough. */
describe.each<[string, GpuOptions, (name: string) => Sizes[]]>([
  ["tiled", { matmul: "tiled" }, (name) => (products.includes(name) ? [sizes[1]] : [])],
  ["auto", {}, (name) => (products.includes(name) ? [sizes[0], sizes[2]] : [sizes[0]])],
])("with the %s matmul kernel", async (_, options, sizesOf) => {
  const [whole, cut] = [await openGpuOps(options), await openGpuOps({ ...options, limits })];

  it.each(Object.entries(cases).filter(([name]) => sizesOf(name).length > 0))("%s is the same to the bit in panels", async (name, work) => {
    for (const size of sizesOf(name)) {
      const [actual, expected] = [await bitsOf(cut, work, size), await bitsOf(whole, work, size)];
      expect(actual.map((bits, i) => bits.filter((b, at) => b !== expected[i][at]).length)).toEqual(expected.map(() => 0));
    }
    expect(cut.liveBytes).toBe(0);
  });

  it("a matrix of these sizes is in panels", () => {
    for (const { out, n, T } of sizes) {
      for (const rows of [out, n, T]) {
        const t = cut.zeros([rows, n]) as GpuTensor;
        expect(t.panels.length).toBeGreaterThan(1);
        expect(t.panels.every(({ size }) => size <= limit)).toBe(true);
        cut.free(t);
      }
    }
  });

  it("no operation is left out", () => {
    const others = ["read", "readUints", "flush", "free", "scope", "liveBytes", "peakBytes", "resetPeak", "limitMemory", "destroy"];
    const facts = ["gpu", "adapter", "matmulForm", "heldBytes", "heldPeakBytes"];
    expect(Object.keys(cut).sort()).toEqual([...Object.keys(cases), ...others, ...facts].sort());
  });
});

describe("the panels of a shape", () => {
  it("hold all rows where they fit, else a multiple of 512 rows, or of the power of two that fits", () => {
    expect(rowsPerPanel([100, 100], 40000)).toBe(100);
    expect(rowsPerPanel([2000, 1], 4096)).toBe(1024);
    expect(rowsPerPanel([28672, 28672], 128 * 2 ** 20)).toBe(1024);
    expect(rowsPerPanel([200, 200], limit)).toBe(64);
    expect(rowsPerPanel([0, 5], 16)).toBe(1);
    expect(panelBytes([130, 251], 65)).toEqual([65264, 65264]);
    expect(panelBytes([28672, 28672], 1024).reduce((sum, bytes) => sum + bytes)).toBe(4 * 28672 ** 2);
  });

  it("are refused where 64 rows are more than a binding", () => {
    expect(() => rowsPerPanel([1000, 257], limit)).toThrow(
      expect.objectContaining({
        code: "gpu-limit",
        where: "64 rows of a tensor of 1000 × 257 are more than the 64 KiB that this GPU binds at once",
      }),
    );
  });

  it("begin where the rows of the one before end", () => {
    const t = { shape: [300, 200], rowsPerPanel: 64, panels: Array(5) } as unknown as GpuTensor;
    expect(boundaries(t, 0, 300)).toEqual([64, 128, 192, 256]);
    expect(boundaries(t, 64, 128)).toEqual([]);
    expect(boundaries(t, 60, 129)).toEqual([4, 68]);
  });
});
