import { dims, isMatrix, isSquare, requireShape, rowsOf } from "../shape";
import { depthCuts, inDepth, pieces } from "./cuts";
import type { Gpu, GpuTensor } from "./gpu";
import { isCut, panelOf, panelShape, rowsPerSum, type Slice, whole } from "./panels";
import type { Constants } from "./pipelines";
import type { Product, View } from "./product";
import { copyBlock } from "./rows";

const forms = { NT: 0, NN: 1, TN: 2 } as const;
const parts = { all: 0, lower: 1, "lower-a": 2, "lower-b": 3, "upper-b": 4 } as const;

/** A form of the product: one of the two kernels with its constants, rows and columns of one workgroup's tile, and how many lanes. */
export interface MatmulForm {
  /** As people see it, and as a choice is kept. */
  name: string;
  kernel: "matmul" | "matmulQuad";
  rows: number;
  columns: number;
  lanes: number;
  constants: Constants;
}

/** Tiles in workgroup memory, so many steps of k at a time: what GPUs want, and the only form that takes any shape. */
export const tiles = (depth: number): MatmulForm => ({
  name: `tiles of 64 × 64, ${depth} deep`,
  ...{ kernel: "matmul", rows: 64, columns: 64, lanes: 64, constants: { DEPTH: depth } },
});

/** Rows of A broadcast among the lanes of a subgroup, without workgroup memory: what software adapters want. */
export const quads = (lanes: number): MatmulForm => ({
  name: `quads, ${lanes} lanes`,
  ...{ kernel: "matmulQuad", rows: 16, columns: 4 * lanes, lanes, constants: { WG: lanes, WIDE: 0 } },
});

/**
 * Twice as many columns a lane, where n fills them: a fifth to two fifths faster on SwiftShader, whose quads are its four lanes. Lavapipe, of eight, takes
 * seconds to compile so many sums.
 */
const widened = (form: MatmulForm, n: number): MatmulForm =>
  form.lanes === 4 && n > form.columns ? { ...form, columns: 2 * form.columns, constants: { ...form.constants, WIDE: 1 } } : form;

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
  /** For shapes that the form does not take. */
  private readonly tiled: MatmulForm;

  constructor(
    private readonly gpu: Gpu,
    readonly form: MatmulForm,
  ) {
    // SwiftShader compiles for half a millisecond a float of workgroup memory.
    this.tiled = form.kernel === "matmul" ? form : tiles(gpu.software ? 4 : 16);
  }

  /** One product, in as many pieces as the panels of its tensors ask for. The pieces round as the whole would. */
  run(x: Product): void {
    if (x.m === 0 || x.n === 0 || x.batch?.count === 0) return;
    // All pieces go to one kernel, as the two round differently.
    const form = fitsQuads(x) ? widened(this.form, x.n) : this.tiled;
    if (x.batch) this.dispatch(x, form);
    // Without any depth nothing of A and B is read, and their views may begin past the last row.
    else if (x.k === 0) this.runPieces({ ...x, a: { tensor: x.a.tensor }, b: { tensor: x.b.tensor } }, form);
    else this.runPieces(x, form);
  }

  private runPieces(x: Product, form: MatmulForm): void {
    for (const piece of pieces(x)) {
      const depths = depthCuts(piece);
      if (depths.length > 0 && piece.add === "c") this.addInDepth(piece, depths, form);
      else if (depths.length > 0) for (const part of inDepth(piece, depths)) this.dispatch(part, form);
      else this.dispatch(piece, form);
    }
  }

  /** C += alpha · A·B where k is cut: the product comes first, by itself. */
  private addInDepth(x: Product, depths: readonly number[], form: MatmulForm): void {
    const product = { tensor: this.gpu.make([x.m, x.n]), row: 0, column: 0 };
    for (const part of inDepth({ ...x, c: product, add: undefined }, depths)) this.dispatch(part, form);
    copyBlock(this.gpu, product, { row: 0, column: 0, ...x.c, add: true }, x.m, x.n);
    this.gpu.free(product.tensor);
  }

  private dispatch(x: Product, { kernel, rows, columns, constants: own }: MatmulForm): void {
    const { m, n, k, form, add, part = "all", alpha = 1, batch = { first: 0, count: 1, heads: 1, group: 1 } } = x;
    const [a, b, c] = [place(x.a), place(x.b), place(x.c)];
    const d = typeof add === "object" ? place(add) : undefined;
    const constants = { FORM: forms[form], ...own };
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
