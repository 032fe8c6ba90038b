/** Embeddings and head where a run rounds them: they are committed like layers, embeddings with the first block and the head with the last. */
import { QuantError } from "../errors";
import { madeBeyondF16 } from "../export/range";
import { letCancelIn } from "../io/turn";
import { loadTensor, type Model } from "../model/checkpoint";
import { embeddingName, headName } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { embeddedFrom, slices } from "../model/vocabulary";
import type { Activation, Activations } from "../ops/activations";
import { mostColumns, type Ops, tensorsOf } from "../ops/ops";
import { codeLayer, type PackedLayer, type QuantizedModel } from "../quant/coded";
import type { RunPlan, TablePlan } from "../quant/layer-plan";
import { roundToNearest } from "../quant/rtn";
import type { BlockOutcome } from "./outcome";

const nameOf = (tensor: string) => tensor.replace(/\.weight$/, "");
const embeddings = nameOf(embeddingName);

interface TableJob {
  activations: Activations;
  model: Model;
  plan: RunPlan;
  signal?: AbortSignal;
}

/** Rounds a run's tables when they are needed. */
export class RoundedTables {
  private first: PackedLayer | null = null;

  /** @param job with the model as it is: what is read of tables counts as no block's input. @param tell where the work is. */
  constructor(
    private readonly job: TableJob,
    private readonly tell: (where: string) => void = () => {},
  ) {}

  /** The embeddings, with which the quantized stream begins; null where they are kept. */
  async embeddings(): Promise<PackedLayer | null> {
    this.first = await this.round((name) => name === embeddings);
    return this.first;
  }

  /** A block's outcome with the tables that are committed with it. */
  async joined(outcome: BlockOutcome): Promise<BlockOutcome> {
    const made = outcome.index === 0 ? [this.first] : [];
    this.first = null;
    if (outcome.index === this.job.plan.blocks - 1) made.push(await this.round((name) => name !== embeddings));
    const tables = made.filter((table) => table !== null);
    const beyondF16 = new Map([...outcome.beyondF16, ...madeBeyondF16(tables, new Map())]);
    return { ...outcome, layers: [...outcome.layers, ...tables], beyondF16 };
  }

  private async round(isWanted: (name: string) => boolean): Promise<PackedLayer | null> {
    const { activations, model, plan, signal } = this.job;
    const table = plan.tables.find(({ name }) => isWanted(name));
    if (!table) return null;
    const title = table.name === embeddings ? "embeddings" : "head";
    return roundTable(activations.ops, model, table, signal, {
      onShare: (share) => this.tell(`rounding the ${title}, ${Math.round(100 * share)} %`),
    });
  }
}

type Arrays = Pick<PackedLayer, "words" | "scales" | "zeros" | "factors">;

/** Rounds a table to nearest, a slice of its rows of at most `bytes` in f32 at a time. @throws what `loadTensor` and `codeLayer` throw, `cancelled` between two slices. */
export async function roundTable(
  ops: Ops,
  model: Model,
  { name, shape, grid }: TablePlan,
  signal?: AbortSignal,
  { bytes, onShare }: { bytes?: number; onShare?: (share: number) => void } = {},
): Promise<PackedLayer> {
  const [rows, n] = shape;
  let whole: PackedLayer | null = null;
  for (const range of slices(rows, 4 * n, bytes, mostColumns(ops.adapter))) {
    await letCancelIn(signal);
    const W = await loadTensor(ops, model, `${name}.weight`, range);
    const { codes, grid: made } = roundToNearest(W, grid, ops);
    ops.free(W);
    const slice = (await codeLayer(ops, name, { codes, grid: made, damping: [], fallback: null }, grid)) as PackedLayer;
    ops.free(codes, ...tensorsOf(made));
    whole ??= emptyTable(slice, rows);
    place(whole, slice, range.from / rows);
    onShare?.(range.to / rows);
  }
  return whole!;
}

/** As large as `rows` rows are, in arrays like the slice's. */
function emptyTable(slice: PackedLayer, rows: number): PackedLayer {
  const [part, n] = slice.shape;
  const grown = <A extends Uint32Array | Uint8Array | Float32Array>(values: A): A =>
    new (values.constructor as new (length: number) => A)((values.length / part) * rows);
  const { words, scales, zeros, factors } = slice;
  const arrays: Arrays = { words: grown(words), scales: grown(scales), zeros: grown(zeros), ...(factors && { factors: grown(factors) }) };
  return { ...slice, ...arrays, shape: [rows, n] };
}

/** @param share of the table's rows that come before the slice. */
function place(whole: PackedLayer, slice: PackedLayer, share: number): void {
  for (const part of ["words", "scales", "zeros", "factors"] as const)
    if (slice[part]) whole[part]!.set(slice[part], Math.round(whole[part]!.length * share));
}

/** A table as a run left it; null where it was kept. */
async function tableOf(quantized: QuantizedModel, name: string): Promise<PackedLayer | null> {
  const table = await quantized.layer(nameOf(name));
  if (table && table.kind !== "packed") throw new QuantError("internal", `${name} is on no grid`);
  return table;
}

export const roundedHead = (spec: ModelSpec, quantized: QuantizedModel): Promise<PackedLayer | null> =>
  tableOf(quantized, spec.tied ? embeddingName : headName);

/** The residual stream before block 0 of each chunk of ids, from the embeddings as a run left them; null where it kept them. @throws QuantError `cancelled`. */
export async function embedRounded(
  activations: Activations,
  quantized: QuantizedModel,
  chunks: readonly Int32Array[],
  signal?: AbortSignal,
): Promise<Activation[] | null> {
  const table = await tableOf(quantized, embeddingName);
  return table && embedFrom(activations, table, chunks, signal);
}

/** The same from their table. */
export async function embedFrom(
  activations: Activations,
  table: PackedLayer,
  chunks: readonly Int32Array[],
  signal?: AbortSignal,
): Promise<Activation[]> {
  const held: Activation[] = [];
  for (const ids of chunks) {
    held.push(await activations.hold(embeddedFrom(activations.ops, table, ids)));
    await letCancelIn(signal);
  }
  return held;
}
