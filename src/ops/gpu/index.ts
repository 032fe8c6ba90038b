import type { Ops, Tensor } from "../ops";
import { attention } from "./attention";
import { clipSearch } from "./clip";
import * as columns from "./columns";
import { type DeviceOptions, type OpenedGpu, requestGpu } from "./device";
import { Gpu, type GpuTensor } from "./gpu";
import * as grids from "./grids";
import { Matmul, quads, tiles } from "./matmul";
import { type KernelChoices, type PickedMatmul, pickMatmul } from "./pick";
import * as rows from "./rows";
import { searchGrid } from "./searched";
import * as solve from "./solve";
import { flush, fromBytes, readBytes, upload } from "./transfer";

export { type DeviceOptions, type OpenedGpu, requestGpu } from "./device";
export type { KernelChoices } from "./pick";

export interface GpuOptions extends DeviceOptions {
  /** Which form of the product; "auto": see `pickMatmul`; "measured": by a trial on software adapters too. A number: the quad kernel with so many lanes. */
  matmul?: "auto" | "measured" | "tiled" | number;
  /** Where the form that a trial found best is kept. */
  choices?: KernelChoices | null;
}

/** Ops on a WebGPU device, with what only a GPU has. */
export interface GpuOps extends Ops {
  readonly gpu: OpenedGpu;
  /** The most bytes that all buffers have taken at once since `resetPeak`: tensors, buffers kept for reuse, and those through which the host reads. */
  readonly heldPeakBytes: number;
  /** The same now. */
  readonly heldBytes: number;
  /** The form of the product that was picked. */
  readonly matmulForm: string;
}

const own = (t: Tensor) => t as GpuTensor;
const floats = (data: ArrayLike<number>) => (data instanceof Float32Array ? data : Float32Array.from(data));

/**
 * All operations over WGSL kernels, in f32.
 * @throws QuantError `no-webgpu` without a usable adapter.
 */
export async function createGpuOps(source: GPU, options: GpuOptions = {}): Promise<GpuOps> {
  const gpu = new Gpu(await requestGpu(source, options), options);
  return opsOver(gpu, await matmulOf(gpu, options));
}

async function matmulOf(gpu: Gpu, { matmul: choice = "auto", choices = null }: GpuOptions): Promise<PickedMatmul> {
  if (choice === "auto") return pickMatmul(gpu, choices);
  if (choice === "measured") return pickMatmul(gpu, choices, true);
  const form = choice === "tiled" ? tiles(gpu.software ? 4 : 16) : quads(choice);
  return { matmul: new Matmul(gpu, form), rate: null };
}

function opsOver(gpu: Gpu, { matmul, rate }: PickedMatmul): GpuOps {
  const { tracker } = gpu;
  return {
    gpu: gpu.opened,
    matmulForm: matmul.form.name,
    adapter: { ...gpu.opened.facts, products: { form: matmul.form.name, rate } },
    fromFloats: (data, shape) => upload(gpu, floats(data), shape),
    fromBytes: (bytes, dtype, shape) => fromBytes(gpu, bytes, dtype, shape),
    fromUints: (data, shape) => upload(gpu, Uint32Array.from(data), shape),
    zeros: (shape, kind) => {
      const t = gpu.make(shape, kind);
      gpu.clear(t);
      return t;
    },
    read: async (tensors) => (await readBytes(gpu, tensors)).map((b) => new Float32Array(b)),
    readUints: async (t) => new Uint32Array((await readBytes(gpu, [t]))[0]),
    flush: () => flush(gpu),
    free: (...tensors) => gpu.free(...tensors),
    scope: () => tracker.scope(),
    get liveBytes() {
      return tracker.liveBytes;
    },
    get peakBytes() {
      return tracker.peakBytes;
    },
    get heldBytes() {
      return gpu.held;
    },
    get heldPeakBytes() {
      return gpu.heldPeak;
    },
    resetPeak: () => {
      tracker.resetPeak();
      gpu.resetPeak();
    },
    limitMemory: (bytes) => {
      gpu.pool.limit = bytes ?? Number.POSITIVE_INFINITY;
      gpu.pool.makeRoom(0);
    },
    destroy: () => gpu.device.destroy(),

    linear: (x, w) => matmul.linear(own(x), own(w)),
    matmul: (a, b) => matmul.matmul(own(a), own(b)),
    gram: (H, x) => matmul.gram(own(H), own(x)),
    crossGram: (C, a, b) => matmul.gram(own(C), own(a), own(b)),
    mirror: (H) => solve.mirror(gpu, own(H)),
    scale: (t, factor) => rows.scale(gpu, own(t), factor),

    add: (a, b, factor) => rows.add(gpu, own(a), own(b), factor),
    addExactly: (a, b, factor) => rows.addExactly(gpu, own(a), own(b), factor),
    addBias: (y, b) => rows.addBias(gpu, own(y), own(b)),
    rmsNorm: (x, w, eps) => rows.rmsNorm(gpu, own(x), own(w), eps),
    rope: (x, cos, sin, shape) => rows.rope(gpu, own(x), own(cos), own(sin), shape),
    attention: (q, k, v, shape) => attention(gpu, matmul, own(q), own(k), own(v), shape),
    swiglu: (gate, up) => rows.swiglu(gpu, own(gate), own(up)),
    scaleColumns: (A, s, divide) => rows.scaleBy(gpu, own(A), own(s), "columns", divide),
    everyRow: (x, first, step, count) => rows.everyRow(gpu, own(x), first, step, count),
    scaleRows: (A, s, divide) => rows.scaleBy(gpu, own(A), own(s), "rows", divide),
    affine: (A, factor, offset, low, high) => rows.affine(gpu, own(A), factor, offset, low, high),
    addColumnSums: (sums, x) => rows.addColumnSums(gpu, own(sums), own(x)),

    crossEntropyStart: (tokens) => upload(gpu, rows.crossEntropyStates(tokens), [tokens, 3]),
    crossEntropyUpdate: (state, logits, targets, offset) => rows.crossEntropyUpdate(gpu, own(state), own(logits), own(targets), offset),
    divergenceStart: (tokens) => rows.divergenceStart(gpu, tokens),
    divergenceUpdate: (state, x, y, targets, offset) => rows.divergenceUpdate(gpu, own(state), own(x), own(y), own(targets), offset),

    deadInputs: (H) => solve.deadInputs(gpu, own(H)),
    damp: (A, fraction, dead) => solve.damp(gpu, own(A), fraction, dead),
    cholesky: (A) => solve.cholesky(gpu, matmul, own(A)),
    solveRight: (U, Y) => solve.solveRight(gpu, matmul, own(U), own(Y)),
    zeroColumns: (W, dead) => solve.zeroColumns(gpu, own(W), own(dead)),
    diagonal: (A) => solve.diagonal(gpu, own(A)),
    keepStrictUpper: (A) => solve.keepTriangle(gpu, own(A), "strictly upper"),
    invertTriangle: (L) => solve.invertTriangle(gpu, matmul, own(L)),
    descendingDiagonal: (H) => columns.descendingDiagonal(gpu, own(H)),
    permuteSquare: (A, index, reversed) => columns.permuteSquare(gpu, own(A), index && own(index), reversed),
    gatherColumns: (A, index) => columns.permuteColumns(gpu, own(A), own(index), false),
    scatterColumns: (A, index) => columns.permuteColumns(gpu, own(A), own(index), true),

    searchGrid: (W, spec, importance) => searchGrid(gpu, own(W), spec, importance && own(importance)),
    grid: (W, spec, rest) => grids.grid(gpu, own(W), spec, rest && own(rest)),
    encode: (W, grid, bits) => grids.encode(gpu, own(W), grid, bits),
    decode: (codes, grid, groupOf, half) => grids.decode(gpu, own(codes), grid, groupOf && own(groupOf), half),
    regrid: (grid, W, spec, from, to, rest) => grids.regrid(gpu, grid, own(W), spec, from, to, rest && own(rest)),
    roundColumns: (rounding, from, to) => columns.roundColumns(gpu, matmul, rounding, from, to),
    clipSearch: (W, gram, spec) => clipSearch(gpu, matmul, own(W), own(gram), spec),
    pack: (codes, bits) => columns.pack(gpu, own(codes), bits),
    unpack: (words, bits, n) => columns.unpack(gpu, own(words), bits, n),
    squaredDifference: (a, b) => rows.squaredDifference(gpu, own(a), own(b)),
    innerProducts: (a, b) => rows.innerProducts(gpu, own(a), own(b)),
  };
}
