import { toFloats } from "../io/dtype";
import { letEventsIn } from "../io/turn";
import { clipSearch } from "./cpu/clip";
import * as columns from "./cpu/columns";
import { divergenceUpdate } from "./cpu/divergence";
import * as gridding from "./cpu/grid";
import * as products from "./cpu/products";
import * as rows from "./cpu/rows";
import { searchGrid } from "./cpu/searched";
import * as solve from "./cpu/solve";
import { type CpuTensor, empty, floats, uints } from "./cpu/tensor";
import { divergenceColumns } from "./divergence";
import { elements, type Grid, type Ops, type Tensor } from "./ops";
import { Tracker } from "./tracker";

const cpu = (t: Tensor) => t as CpuTensor;
const cpuGrid = (g: Grid) => g as gridding.CpuGrid;

/** The reference: every operation in plain float64, the same algorithms as the kernels in other arithmetic. Runs anywhere, slowly. */
export function createCpuOps(): Ops {
  const tracker = new Tracker<CpuTensor>(() => {});
  const own = (t: CpuTensor) => tracker.add(t, t.data.byteLength + t.uints.byteLength);
  const ownGrid = ({ kind, scales, zeros, factors }: gridding.CpuGrid): Grid => ({
    kind,
    scales: own(scales),
    zeros: own(zeros),
    ...(factors && { factors: own(factors) }),
  });

  return {
    adapter: { kind: "cpu", description: "float64 reference on the CPU", software: true, limits: null, products: null },
    fromFloats: (data, shape) => own(floats(Float64Array.from(data), shape)),
    fromBytes: (bytes, dtype, shape) => own(floats(Float64Array.from(toFloats(bytes, dtype)), shape)),
    fromUints: (data, shape) => own(uints(Uint32Array.from(data), shape)),
    zeros: (shape, kind) => own(kind === "uint" ? uints(new Uint32Array(elements(shape)), shape) : empty(shape)),
    read: async (tensors) => tensors.map((t) => cpu(t).data.slice()),
    readUints: async (t) => cpu(t).uints.slice(),
    flush: letEventsIn,
    free: (...tensors) => {
      for (const t of tensors) tracker.free(cpu(t));
    },
    scope: () => tracker.scope(),
    get liveBytes() {
      return tracker.liveBytes;
    },
    get peakBytes() {
      return tracker.peakBytes;
    },
    resetPeak: () => tracker.resetPeak(),
    limitMemory: () => {},
    destroy: () => {},

    linear: (x, w) => own(products.linear(cpu(x), cpu(w))),
    matmul: (a, b) => own(products.matmul(cpu(a), cpu(b))),
    gram: (H, x) => products.gram(cpu(H), cpu(x)),
    crossGram: (C, a, b) => products.crossGram(cpu(C), cpu(a), cpu(b)),
    mirror: (H) => products.mirror(cpu(H)),
    scale: (t, factor) => {
      const { data } = cpu(t);
      for (let i = 0; i < data.length; i++) data[i] *= factor;
    },

    add: (a, b, factor) => own(rows.add(cpu(a), cpu(b), factor)),
    addExactly: (a, b, factor) => {
      const { sum, rest } = rows.addExactly(cpu(a), cpu(b), factor);
      return { sum: own(sum), rest: own(rest) };
    },
    addBias: (y, b) => own(rows.addBias(cpu(y), cpu(b))),
    rmsNorm: (x, w, eps) => own(rows.rmsNorm(cpu(x), cpu(w), eps)),
    rope: (x, cos, sin, shape) => own(rows.rope(cpu(x), cpu(cos), cpu(sin), shape)),
    attention: (q, k, v, shape) => own(rows.attention(cpu(q), cpu(k), cpu(v), shape)),
    swiglu: (gate, up) => own(rows.swiglu(cpu(gate), cpu(up))),

    scaleColumns: (A, s, divide) => own(rows.scaleColumns(cpu(A), cpu(s), divide)),
    everyRow: (x, first, step, count) => own(rows.everyRow(cpu(x), first, step, count)),
    scaleRows: (A, s, divide) => own(rows.scaleRows(cpu(A), cpu(s), divide)),
    affine: (A, factor, offset, low, high) => own(rows.affine(cpu(A), factor, offset, low, high)),
    addColumnSums: (sums, x) => rows.addColumnSums(cpu(sums), cpu(x)),
    crossEntropyStart: (tokens) => {
      const state = empty([tokens, 3]);
      for (let t = 0; t < tokens; t++) state.data[3 * t] = Number.NEGATIVE_INFINITY;
      return own(state);
    },
    crossEntropyUpdate: (state, logits, targets, offset) => rows.crossEntropyUpdate(cpu(state), cpu(logits), cpu(targets), offset),
    divergenceStart: (tokens) => own(empty([tokens, divergenceColumns])),
    divergenceUpdate: (state, x, y, targets, offset) => divergenceUpdate(cpu(state), cpu(x), cpu(y), cpu(targets), offset),

    deadInputs: (H) => own(solve.deadInputs(cpu(H))),
    damp: (A, fraction, dead) => solve.damp(cpu(A), fraction, dead),
    cholesky: (A) => own(solve.cholesky(cpu(A))),
    solveRight: (U, Y) => own(solve.solveRight(cpu(U), cpu(Y))),
    diagonal: (A) => own(solve.diagonal(cpu(A))),
    keepStrictUpper: (A) => solve.keepStrictUpper(cpu(A)),
    invertTriangle: (L) => solve.invertTriangle(cpu(L)),
    descendingDiagonal: (H) => own(solve.descendingDiagonal(cpu(H))),
    permuteSquare: (A, index, reversed) => own(solve.permuteSquare(cpu(A), index && cpu(index), reversed)),
    gatherColumns: (A, index) => own(solve.gatherColumns(cpu(A), cpu(index))),
    scatterColumns: (A, index) => own(solve.scatterColumns(cpu(A), cpu(index))),
    zeroColumns: (W, dead) => own(solve.zeroColumns(cpu(W), cpu(dead))),

    searchGrid: (W, spec, importance) => ownGrid(searchGrid(cpu(W), spec, importance && cpu(importance))),
    grid: (W, spec, rest) => ownGrid(gridding.grid(cpu(W), spec, rest && cpu(rest))),
    encode: (W, g, bits) => own(gridding.encode(cpu(W), cpuGrid(g), bits)),
    decode: (codes, g, groupOf, half) => own(gridding.decode(cpu(codes), cpuGrid(g), groupOf && cpu(groupOf), half)),
    regrid: (g, W, spec, from, to, rest) => gridding.regrid(cpuGrid(g), cpu(W), spec, from, to, rest && cpu(rest)),
    roundColumns: (rounding, from, to) => columns.roundColumns(rounding, from, to),
    pack: (codes, bits) => own(columns.pack(cpu(codes), bits)),
    unpack: (words, bits, n) => own(columns.unpack(cpu(words), bits, n)),
    clipSearch: (W, gram, spec) => own(clipSearch(cpu(W), cpu(gram), spec)),
    squaredDifference: (a, b) => own(rows.squaredDifference(cpu(a), cpu(b))),
    innerProducts: (a, b) => own(rows.innerProducts(cpu(a), cpu(b))),
  };
}
