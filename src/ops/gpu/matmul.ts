import { QuantError } from "../../errors";
import { depthCuts, inDepth, pieces } from "./cuts";
import type { Gpu, GpuTensor } from "./gpu";
import { isCut, panelOf, panelShape, rowsPerSum, type Slice, whole } from "./panels";
import type { Product, View } from "./product";
import { copyBlock } from "./rows";
import { dims, isMatrix, isSquare, requireShape, rowsOf } from "./shape";
import { readBytes, upload } from "./transfer";

const forms = { NT: 0, NN: 1, TN: 2 } as const;
const parts = { all: 0, lower: 1, "lower-a": 2, "lower-b": 3, "upper-b": 4 } as const;

/** The two matmul kernels: rows and columns of one workgroup's tile, and how many lanes. */
export interface MatmulVariant {
  kernel: "matmul" | "matmulQuad";
  rows: number;
  columns: number;
  lanes: number;
}

export const tiled: MatmulVariant = { kernel: "matmul", rows: 64, columns: 64, lanes: 64 };
export const quads = (lanes: number): MatmulVariant => ({ kernel: "matmulQuad", rows: 16, columns: 4 * lanes, lanes });

/**
 * Twice as many columns a lane, where n fills them: a fifth to two fifths faster on SwiftShader, whose quads are its four lanes. Lavapipe, of eight, takes
 * seconds to compile so many sums.
 */
const widened = (variant: MatmulVariant, n: number): MatmulVariant =>
  variant.lanes === 4 && n > variant.columns ? { ...variant, columns: 2 * variant.columns } : variant;

/** A view as the kernels take it: the panel that its rows lie in, its start there and its stride, in elements. */
interface Placed {
  panel: Slice;
  start: number;
  stride: number;
}

function place({ tensor, row = 0, column = 0 }: View): Placed {
  const stride = panelShape(tensor.shape).columns;
  // A batch's views may start outside, and wrap round in the kernel.
  if (!isCut(tensor)) return { panel: whole(tensor), start: row * stride + column, stride };
  const at = panelOf(tensor, row);
  return { panel: at.panel, start: at.row * stride + column, stride };
}

/** Whether a view begins, and its rows lie, at multiples of four. Panels do not matter: they begin at multiples of 64 rows. */
export const aligned = ({ tensor, row = 0, column = 0, window = 0, head = 0 }: View): boolean => {
  const stride = panelShape(tensor.shape).columns;
  return [row * stride + column, stride, window, head].every((x) => x % 4 === 0);
};

/** The quad kernel reads four floats at a time, so it leaves odd strides to the tiled one. */
function fitsQuads({ form, k, a, b, add, padded, quads = true }: Product): boolean {
  const wholeDepth = form === "TN" || k % 4 === 0 || padded === true;
  return quads && wholeDepth && aligned(a) && aligned(b) && (add === undefined || add === "c" || aligned(add));
}

/** Row tiles of one dispatch: as many as the budget allows, so that no dispatch alone holds the device. */
function rowTiles(gpu: Gpu, { m, n, k, batch, part }: Product, rows: number): number {
  const work = 2 * rows * n * k * (batch?.count ?? 1) * (part === "lower" ? 0.5 : 1);
  return Math.max(1, Math.min(Math.ceil(m / rows), Math.floor(gpu.recorder.budget / Math.max(work, 1))));
}

export class Matmul {
  constructor(
    private readonly gpu: Gpu,
    readonly variant: MatmulVariant,
  ) {}

  /** One product, in as many pieces as the panels of its tensors ask for. The pieces round as the whole would. */
  run(x: Product): void {
    if (x.m === 0 || x.n === 0 || x.batch?.count === 0) return;
    // All pieces go to one kernel, as the two round differently.
    const variant = fitsQuads(x) ? widened(this.variant, x.n) : tiled;
    if (x.batch) this.dispatch(x, variant);
    // Without any depth nothing of A and B is read, and their views may begin past the last row.
    else if (x.k === 0) this.runPieces({ ...x, a: { tensor: x.a.tensor }, b: { tensor: x.b.tensor } }, variant);
    else this.runPieces(x, variant);
  }

  private runPieces(x: Product, variant: MatmulVariant): void {
    for (const piece of pieces(x)) {
      const depths = depthCuts(piece);
      if (depths.length > 0 && piece.add === "c") this.addInDepth(piece, depths, variant);
      else if (depths.length > 0) for (const part of inDepth(piece, depths)) this.dispatch(part, variant);
      else this.dispatch(piece, variant);
    }
  }

  /** C += alpha · A·B where k is cut: the product comes first, by itself. */
  private addInDepth(x: Product, depths: readonly number[], variant: MatmulVariant): void {
    const product = { tensor: this.gpu.make([x.m, x.n]), row: 0, column: 0 };
    for (const part of inDepth({ ...x, c: product, add: undefined }, depths)) this.dispatch(part, variant);
    copyBlock(this.gpu, product, { row: 0, column: 0, ...x.c, add: true }, x.m, x.n);
    this.gpu.free(product.tensor);
  }

  private dispatch(x: Product, { kernel, rows, columns, lanes }: MatmulVariant): void {
    const { m, n, k, form, add, part = "all", alpha = 1, batch = { first: 0, count: 1, heads: 1, group: 1 } } = x;
    const [a, b, c] = [place(x.a), place(x.b), place(x.c)];
    const d = typeof add === "object" ? place(add) : undefined;
    const constants: Record<string, number> = { FORM: forms[form] };
    if (kernel === "matmulQuad") Object.assign(constants, { WG: lanes, WIDE: columns > 4 * lanes ? 1 : 0 });
    else if (this.gpu.software) constants.DEPTH = 4;
    const steps = ({ window = 0, head = 0 }: View) => [window, head];
    const step = rowTiles(this.gpu, x, rows);
    for (let tile = 0; tile * rows < m; tile += step) {
      const tiles = Math.min(step, Math.ceil(m / rows) - tile);
      this.gpu.run(kernel, {
        constants,
        bind: [a.panel, b.panel, d?.panel ?? a.panel, c.panel],
        u32: [
          ...[m, n, k, tile * rows, tiles, batch.first, batch.count, batch.heads, batch.group],
          ...[a.start, a.stride, ...steps(x.a), b.start, b.stride, ...steps(x.b), c.start, c.stride, ...steps(x.c)],
          ...[d?.start ?? 0, d?.stride ?? 0, d ? 2 : add ? 1 : 0, x.goesOn ? 1 : 0, parts[part]],
        ],
        f32: [alpha],
        groups: tiles * Math.ceil(n / columns) * batch.count,
        work: 2 * Math.min(tiles * rows, m) * n * k * batch.count,
      });
    }
  }

  /** x · Wᵀ. */
  linear(x: GpuTensor, w: GpuTensor): GpuTensor {
    requireShape(isMatrix(x) && isMatrix(w) && x.shape[1] === w.shape[1], "linear", `inputs and weights of ${dims(x, w)}`);
    const [m, k] = x.shape;
    const [n] = w.shape;
    const y = this.gpu.make([m, n]);
    this.run({ form: "NT", m, n, k, a: { tensor: x }, b: { tensor: w }, c: { tensor: y } });
    return y;
  }

  /** a · b. */
  matmul(a: GpuTensor, b: GpuTensor): GpuTensor {
    requireShape(isMatrix(a) && isMatrix(b) && a.shape[1] === b.shape[0], "matmul", dims(a, b));
    const [m, k] = a.shape;
    const n = b.shape[1];
    const y = this.gpu.make([m, n]);
    this.run({ form: "NN", m, n, k, a: { tensor: a }, b: { tensor: b }, c: { tensor: y } });
    return y;
  }

  /** H += xᵀx by lower tiles, or C += xᵀy, all of it. */
  gram(H: GpuTensor, x: GpuTensor, y?: GpuTensor): void {
    const { rows, columns: n } = rowsOf(x);
    const name = y ? "crossGram" : "gram";
    requireShape(isSquare(H) && H.shape[0] === n && (!y || dims(y) === dims(x)), name, `${dims(H, x)}${y ? ` and ${dims(y)}` : ""}`);
    // A float32 sum over all tokens would lose digits: sum short runs, then add the sums.
    for (let first = 0; first < rows; first += rowsPerSum) {
      const a = { tensor: x, row: first };
      const b = { tensor: y ?? x, row: first };
      const k = Math.min(rowsPerSum, rows - first);
      this.run({ form: "TN", m: n, n, k, a, b, c: { tensor: H }, add: "c", part: y ? "all" : "lower" });
    }
  }
}

/** Largest difference from the true product, relative to the sums of absolute products, of which float32 may lose a few parts in 2²⁴. */
function worstError(form: Product["form"], x: Float32Array, n: number, y: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let size = 0;
      for (let k = 0; k < n; k++) {
        const term = x[form === "TN" ? k * n + i : i * n + k] * x[form === "NT" ? j * n + k : k * n + j];
        sum += term;
        size += Math.abs(term);
      }
      worst = Math.max(worst, Math.abs(y[i * n + j] - sum) / size);
    }
  return worst;
}

/**
 * Software adapters get the quad kernel, ten times as fast there, if a trial in all three forms is right: on a device whose quads are not four
 * neighbouring lanes it would be silently wrong.
 */
export async function pickMatmul(gpu: Gpu): Promise<Matmul> {
  const plain = new Matmul(gpu, tiled);
  const { subgroupMinSize: least, subgroupMaxSize: most } = gpu.opened.adapter.info;
  const lanes = least ?? 0;
  if (!gpu.software || !gpu.device.features.has("subgroups") || least !== most || lanes < 4 || lanes > 64) return plain;
  const fast = new Matmul(gpu, quads(lanes));
  const scope = gpu.tracker.scope();
  try {
    return (await isRight(gpu, fast)) ? fast : plain;
  } catch (e) {
    // A driver that cannot compile quad operations is no failure: the other kernel serves.
    if (e instanceof QuantError && e.code === "gpu-fault") return plain;
    throw e;
  } finally {
    scope.end();
  }
}

async function isRight(gpu: Gpu, matmul: Matmul): Promise<boolean> {
  const n = 36; // no multiple of a tile: the edges are in the trial too
  const values = Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 101) / 101 - 0.4);
  const x = upload(gpu, values, [n, n]);
  for (const form of ["NT", "NN", "TN"] as const) {
    const y = upload(gpu, new Float32Array(n * n), [n, n]);
    const view = { tensor: x };
    // Each form as it is used most, so that the trial compiles nothing that a run does not need.
    matmul.run({ form, m: n, n, k: n, a: view, b: view, c: { tensor: y }, add: form === "TN" ? "c" : undefined });
    const [bytes] = await readBytes(gpu, [y]);
    if (!(worstError(form, values, n, new Float32Array(bytes)) < 1e-5)) return false;
  }
  return true;
}
