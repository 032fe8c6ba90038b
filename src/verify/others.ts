/** All that is no linear layer, beside the original's: embeddings, head, norms, biases. */
import { shown } from "../io/text";
import { embeddingName, headName } from "../model/layers";
import type { Rows } from "../reopen/rows";
import { Deviation, far } from "./deviation";
import type { CheckJob } from "./job";
import { rowsAtOnce } from "./matrix";
import type { Original } from "./original";

/** A tensor of the file. */
export interface Other {
  /** As the file calls it. */
  readonly name: string;
  /** The original's name of it. */
  readonly source: string;
  readonly shape: readonly number[];
  /** "F16", "Q6_K" */
  readonly stored: string;
  /** Rows of a matrix, values of a vector, in the original's order. */
  readonly rows: Rows;
  /** They are read in multiples of this. */
  readonly unit: number;
}

/** What the linear layers tell of the tensors beside them. */
export interface Told {
  /** Norms that were changed without the layers after them. */
  readonly changedNorms: ReadonlySet<string>;
  /** What the rows of a layer are to be multiplied by to come nearest the original's, and how near they then are; null where rows are not scaled. */
  outputsOf(layer: string): { factors: Float64Array; error: number } | null;
}

interface Compared extends Other {
  readonly error: number;
  readonly deviation: Deviation;
  /** Of a bias. */
  readonly values: { readonly original: Float32Array; readonly file: Float32Array } | null;
}

const isBias = (name: string) => name.endsWith(".bias");
const beforeLayers = /\.(input|post_attention)_layernorm\.weight$/;
/** A bias that goes with a layer's rows may be so far from the original's besides what the layer itself is. */
const biasRoom = 0.05;

export class Others {
  private readonly compared: Compared[] = [];

  constructor(
    private readonly job: CheckJob,
    private readonly original: Original,
  ) {}

  /** Reads all of it, whether there is something to compare it with or not: its values are checked as they are read. */
  async compare(other: Other): Promise<void> {
    const { name, shape } = other;
    const expected = this.shapeOf(other);
    const fits = expected !== null && hasPlace(shape, expected);
    if (expected && !fits) {
      const message = `Tensors are of other shapes than the original's (${shape.join(" × ")} for ${expected.join(" × ")}).`;
      this.job.findings.join("error", "far-from-original", message, name);
    }
    // Rows beyond the original's are padding: no token uses them.
    const count = fits ? Math.min(shape[0], expected[0]) : 0;
    if (fits) await this.beside(other, count);
    for await (const _ of this.pieces(other, count, shape[0]));
  }

  private async beside(other: Other, count: number): Promise<void> {
    const isVector = other.shape.length === 1;
    const deviation = new Deviation(isVector ? count : other.shape[1], isVector ? 1 : count);
    const kept = isBias(other.source) ? { original: new Float32Array(count), file: new Float32Array(count) } : null;
    for await (const { from, to, values } of this.pieces(other, 0, count)) {
      const original = await this.rows(other, from, to);
      deviation.add(from, original, values);
      kept?.original.set(original, from);
      kept?.file.set(values, from);
    }
    this.compared.push({ ...other, deviation, values: kept, error: deviation.error() });
  }

  private async *pieces({ name, shape, rows, unit }: Other, first: number, end: number) {
    const step = rowsAtOnce([end, shape[1] ?? 1], unit);
    for (let from = first; from < end; from += step) {
      this.job.read(0, name);
      const to = Math.min(end, from + step);
      yield { from, to, values: await rows(from, to) };
    }
  }

  /** The name in the original: the head of a model that ties it is the embeddings. */
  private nameOf = ({ source }: Other) => (source === headName && !this.original.has(headName) ? embeddingName : source);

  /** Null where the original has none that could be compared. A bias that it has not is 0. */
  private shapeOf(other: Other): readonly number[] | null {
    return this.original.tensorShape(this.nameOf(other)) ?? (isBias(other.source) ? other.shape : null);
  }

  private async rows(other: Other, from: number, to: number): Promise<Float32Array> {
    const name = this.nameOf(other);
    return this.original.has(name) ? this.original.floats(name, { from, to }) : new Float32Array(to - from);
  }

  /** The findings, joined with those on layers that are not the original's. @param message of those; null where all layers are. */
  conclude(told: Told, message: string | null): void {
    const { findings } = this.job;
    const finite = this.compared.filter(({ deviation }) => deviation.isFinite);
    const apart = finite.filter((other) => this.isApart(other, told));
    for (const other of apart) findings.join("error", "far-from-original", message ?? notTheOriginals, whereOf(other));
    if (!apart.length && message === null && finite.length) findings.add("ok", "compared", summaryOf(finite));
  }

  private isApart({ source, shape, stored, error, deviation, values }: Compared, told: Told): boolean {
    if (deviation.isRounded) return false;
    if (shape.length > 1) {
      const limit = this.limitOf(stored);
      return limit === null || !(error <= limit) || !(deviation.worstRow().error < far);
    }
    if (values) return !goesWithRows(values, told.outputsOf(source.replace(/\.bias$/, "")));
    return told.changedNorms.has(source) || !beforeLayers.test(source);
  }

  /** How far from the original's a table may be that is stored so; null: it must be the original's, rounded to 16 bits at most. */
  private limitOf(stored: string): number | null {
    // An original that lies in a runtime's own file is rounded itself, or its tables are.
    if (this.original.checkpoint.stored || !this.original.checkpoint.spec) return far;
    const [, bits] = /^Q(\d)/.exec(/^Q/.test(stored) ? stored : (this.job.tableType ?? "")) ?? [];
    // In blocks with one large value and all others half a step off: 6 · 2^-bits. Of usual weights it is a quarter of that.
    return bits === undefined ? null : Math.min(far, 6 * 2 ** -Number(bits));
  }
}

/** A table may have other rows than the original's, which is told elsewhere where they are too few. */
function hasPlace(shape: readonly number[], expected: readonly number[]): boolean {
  return shape.length === expected.length && (shape.length === 1 ? shape[0] === expected[0] : shape[1] === expected[1]);
}

/** Whether a bias was scaled as the rows of its layer were. */
function goesWithRows({ original, file }: NonNullable<Compared["values"]>, outputs: ReturnType<Told["outputsOf"]>): boolean {
  if (outputs?.factors.length !== file.length) return false;
  const scaled = new Deviation(file.length, 1);
  scaled.add(
    0,
    original,
    file.map((x, i) => x * outputs.factors[i]),
  );
  return scaled.error() <= biasRoom + outputs.error;
}

const notTheOriginals =
  "Embeddings, head, norms or biases are not the original's: the file computes another model. Write it again from the original.";

function whereOf({ name, error, shape, deviation }: Compared): string {
  const { row, error: inRow } = deviation.worstRow();
  const most = shape.length > 1 && inRow > 2 * error ? `, ${inRow.toPrecision(2)} in row ${row}` : "";
  return `${name} (relative error ${error.toPrecision(3)}${most})`;
}

function summaryOf(compared: readonly Compared[]): string {
  const isScaled = ({ shape, deviation }: Compared) => shape.length === 1 && !deviation.isRounded;
  const scaled = compared.filter(isScaled).length;
  const worst = compared.reduce((a, b) => (!isScaled(b) && (isScaled(a) || b.error > a.error) ? b : a));
  const most = `${worst.error.toPrecision(3)} at most (${shown(worst.name)}, ${worst.stored})`;
  const rest = scaled ? `; ${scaled} norms and biases have a scale in them that AWQ takes out of the layers` : "";
  return `${compared.length} other tensors (embeddings, head, norms, biases) are the original's within a relative error of ${most}${rest}.`;
}
