import { QuantError } from "../../errors";
import type { Gpu, GpuTensor } from "./gpu";
import { dims, isMatrix, isSquare, requireShape, rowsOf } from "./shape";
import { readBytes, upload } from "./transfer";

/** A matrix inside a tensor, in elements; `window` and `head` are the steps between the matrices of a batch. */
export interface View {
  tensor: GpuTensor;
  start?: number;
  stride: number;
  window?: number;
  head?: number;
}

/** C = [C or D] + alpha · A·B, as the matmul kernels take it; see shaders/matmul.wgsl. */
export interface Product {
  form: "NT" | "NN" | "TN";
  m: number;
  n: number;
  k: number;
  a: View;
  b: View;
  c: View;
  /** What the product is added to: C itself, or D. */
  add?: "c" | View;
  /** A − this in place of A, element for element. */
  minus?: GpuTensor;
  part?: keyof typeof parts;
  alpha?: number;
  /** Batch numbers first … first + count − 1 of windows × heads; kv head = head / group. */
  batch?: { first: number; count: number; heads: number; group: number };
  /** A's rows are zero from k on up to the next multiple of 4. */
  padded?: boolean;
}

const forms = { NT: 0, NN: 1, TN: 2 } as const;
/** What may be left out: tiles above the diagonal; or A, or B, is a lower triangle. */
const parts = { all: 0, lower: 1, "lower-a": 2, "lower-b": 3 } as const;

/** The two matmul kernels: rows and columns of one workgroup's tile, and how many lanes. */
export interface MatmulVariant {
  kernel: "matmul" | "matmulQuad";
  rows: number;
  columns: number;
  lanes: number;
}

export const tiled: MatmulVariant = { kernel: "matmul", rows: 64, columns: 64, lanes: 64 };
export const quads = (lanes: number): MatmulVariant => ({ kernel: "matmulQuad", rows: 16, columns: 4 * lanes, lanes });

const aligned = (v: View): boolean => [v.start, v.stride, v.window, v.head].every((x = 0) => x % 4 === 0);

/** The quad kernel reads four floats at a time, so it leaves odd strides to the tiled one. */
function fitsQuads({ form, k, a, b, add, padded }: Product): boolean {
  const wholeDepth = form === "TN" || k % 4 === 0 || padded === true;
  return wholeDepth && aligned(a) && aligned(b) && (add === undefined || add === "c" || aligned(add));
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

  run(x: Product): void {
    const { m, n, k, form, a, b, c, add, minus, part = "all", alpha = 1, batch = { first: 0, count: 1, heads: 1, group: 1 } } = x;
    if (m === 0 || n === 0 || batch.count === 0) return;
    const { kernel, rows, columns, lanes } = fitsQuads(x) ? this.variant : tiled;
    const d = typeof add === "object" ? add : undefined;
    const bind = [a.tensor, b.tensor, d?.tensor ?? minus ?? a.tensor, c.tensor];
    const constants: Record<string, number> = { FORM: forms[form], ADD: d ? 2 : add ? 1 : 0, DIFFERENCE: minus ? 1 : 0 };
    if (kernel === "matmulQuad") constants.WG = lanes;
    else if (this.gpu.software) constants.DEPTH = 4;
    const view = (v: View) => [v.start ?? 0, v.stride, v.window ?? 0, v.head ?? 0];
    const step = rowTiles(this.gpu, x, rows);
    for (let tile = 0; tile * rows < m; tile += step) {
      const tiles = Math.min(step, Math.ceil(m / rows) - tile);
      this.gpu.run(kernel, {
        constants,
        bind,
        u32: [
          ...[m, n, k, tile * rows, tiles, batch.first, batch.count, batch.heads, batch.group],
          ...[...view(a), ...view(b), ...view(c), d?.start ?? 0, d?.stride ?? 0, parts[part]],
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
    this.run({ form: "NT", m, n, k, a: { tensor: x, stride: k }, b: { tensor: w, stride: k }, c: { tensor: y, stride: n } });
    return y;
  }

  /** a · b. */
  matmul(a: GpuTensor, b: GpuTensor): GpuTensor {
    requireShape(isMatrix(a) && isMatrix(b) && a.shape[1] === b.shape[0], "matmul", dims(a, b));
    const [m, k] = a.shape;
    const n = b.shape[1];
    const y = this.gpu.make([m, n]);
    this.run({ form: "NN", m, n, k, a: { tensor: a, stride: k }, b: { tensor: b, stride: n }, c: { tensor: y, stride: n } });
    return y;
  }

  /** H += xᵀx by lower tiles, or with `minus` C += (x − xq)ᵀ xq, all of it. */
  gram(H: GpuTensor, x: GpuTensor, xq?: GpuTensor): void {
    const { rows, columns: n } = rowsOf(x);
    const name = xq ? "crossGram" : "gram";
    requireShape(isSquare(H) && H.shape[0] === n && (!xq || dims(xq) === dims(x)), name, `${dims(H, x)}${xq ? ` and ${dims(xq)}` : ""}`);
    // A float32 sum over all tokens would lose digits: sum short runs, then add the sums.
    for (let first = 0; first < rows; first += tokensPerSum) {
      const a = { tensor: x, start: first * n, stride: n };
      const b = { tensor: xq ?? x, start: first * n, stride: n };
      const k = Math.min(tokensPerSum, rows - first);
      this.run({ form: "TN", m: n, n, k, a, b, c: { tensor: H, stride: n }, add: "c", part: xq ? "all" : "lower", minus: xq });
    }
  }
}

const tokensPerSum = 512;

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
    const view = { tensor: x, stride: n };
    // Each form as it is used most, so that the trial compiles nothing that a run does not need.
    matmul.run({ form, m: n, n, k: n, a: view, b: view, c: { tensor: y, stride: n }, add: form === "TN" ? "c" : undefined });
    const [bytes] = await readBytes(gpu, [y]);
    if (!(worstError(form, values, n, new Float32Array(bytes)) < 1e-5)) return false;
  }
  return true;
}
