import { toF16Words, toFloats } from "../io/dtype";
import { letEventsIn } from "../io/turn";
import type { Shards, SourceFile, TensorInfo } from "../io/types";
import { elements, type FloatDtype } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";
import { checkFinite, type Model } from "./checkpoint";
import { type Orthogonal, randomHadamard } from "./hadamard";
import { embeddingName, finalNormName, headName, normNames } from "./layers";
import type { Rows } from "./vocabulary";

/** Changes values [rows, columns] in place. */
type Change = (values: Float64Array, rows: number) => void;

/** Values that are changed at once. In float64 a whole layer of a large model would take half a gigabyte. */
const panelValues = 2 ** 20;

/** How a tensor of the rotated checkpoint is made from one of the original's. */
interface Recast {
  /** The tensor it is made from. */
  source: string;
  dtype: FloatDtype;
  change: Change;
  /** So many rows, one after the other, are mixed among themselves: making one needs all of them. */
  rows: number;
  /** Likewise columns. */
  columns: number;
}

/**
 * The same function in another basis: fused rotation (QuaRot, Ashkboos et al., 2024, without its online rotations). Norm weights are multiplied into the
 * layers after them, the residual stream is rotated by one orthogonal Q, and each head's values by R, so that outliers spread over all inputs and nothing
 * is left to do at run time. The result is a checkpoint like any other, its tensors made as they are read. The head is untied. Linear layers become F32.
 * @param most values that are changed at once, where what is mixed allows it.
 */
export async function rotateModel(model: Model, seed: number, most = panelValues): Promise<Model> {
  const recasts = await recastsOf(model, seed);
  const kept: Kept = { name: "", bytes: null };
  const made = (name: string, recast: Recast) => virtual(name, recast, { model, kept, most });
  const tensors = new Map<string, TensorInfo & { readonly file: SourceFile }>();
  for (const [name, info] of model.shards.tensors) tensors.set(name, recasts.has(name) ? made(name, recasts.get(name)!) : info);
  if (!tensors.has(headName)) tensors.set(headName, made(headName, recasts.get(headName)!));
  return {
    ...model,
    original: model,
    spec: { ...model.spec, tied: false },
    config: { ...model.config, tie_word_embeddings: false },
    shards: shardsOf(tensors, model.shards.notes),
  };
}

const shardsOf = (tensors: Shards["tensors"], notes: Shards["notes"]): Shards => ({
  tensors,
  notes,
  readTensor(name, rows) {
    const { file, start, end, shape } = tensors.get(name)!;
    const row = (end - start) / (shape[0] || 1);
    return rows ? file.read(start + rows.from * row, start + rows.to * row) : file.read(start, end);
  },
});

/** How every tensor that changes is made. */
async function recastsOf(model: Model, seed: number): Promise<Map<string, Recast>> {
  const { spec, shards } = model;
  const { hidden, headDim } = spec;
  const Q = randomHadamard(hidden, 2 * seed + 1);
  const R = randomHadamard(headDim, 2 * seed + 2);
  const recasts = new Map<string, Recast>();
  const add = (
    name: string,
    change: Change,
    { source = name, dtype = "F32", rows = 1, columns = Number.POSITIVE_INFINITY }: Partial<Recast> = {},
  ) => recasts.set(name, { source, dtype, rows, columns, change });
  // Embeddings, head and biases of 16 bits are rounded to f16 here, not only in the export: what is measured is what clients load.
  const dtypeOf = (name: string) => (shards.tensors.get(name)!.dtype === "F32" ? "F32" : "F16");
  const embeddingDtype = dtypeOf(embeddingName);
  const finalNorm = await floats(model, finalNormName);
  add(embeddingName, turnInputs(Q), { dtype: embeddingDtype });
  add(headName, both(scaleInputs(finalNorm), turnInputs(Q)), { source: spec.tied ? embeddingName : headName, dtype: embeddingDtype });
  add(finalNormName, ones);
  for (let m = 0; m < spec.blocks; m++) {
    const names = normNames(m);
    const layers = model.layers.filter((l) => l.block === m);
    const of = (kind: LayerKind) => layers.find((l) => l.kind === kind)!.name;
    const [input, postAttention] = [await floats(model, names.input), await floats(model, names.postAttention)];
    for (const name of [names.input, names.postAttention]) add(name, ones);
    for (const kind of ["q_proj", "k_proj"] as const) add(`${of(kind)}.weight`, both(scaleInputs(input), turnInputs(Q)));
    for (const kind of ["gate_proj", "up_proj"] as const) add(`${of(kind)}.weight`, both(scaleInputs(postAttention), turnInputs(Q)));
    add(`${of("v_proj")}.weight`, both(scaleInputs(input), turnInputs(Q), turnOutputs(R, headDim)), { rows: headDim });
    add(`${of("o_proj")}.weight`, both(turnHeads(R, headDim), turnOutputs(Q, hidden)), { rows: hidden, columns: headDim });
    add(`${of("down_proj")}.weight`, turnOutputs(Q, hidden), { rows: hidden, columns: 1 });
    addBias(of("v_proj"), "v_proj", R, headDim);
    for (const kind of ["o_proj", "down_proj"] as const) addBias(of(kind), kind, Q, hidden);
  }
  return recasts;

  function addBias(layer: string, kind: LayerKind, turn: Orthogonal, n: number) {
    const name = `${layer}.bias`;
    if (spec.biases.has(kind)) add(name, turnOutputs(turn, n), { rows: n, dtype: dtypeOf(name) });
  }
}

const ones: Change = (values) => values.fill(1);

/** W·diag(γ) */
const scaleInputs =
  (gamma: Float32Array): Change =>
  (values) => {
    for (let i = 0; i < values.length; i++) values[i] *= gamma[i % gamma.length];
  };

/** W·Q */
const turnInputs =
  (Q: Orthogonal): Change =>
  (values, rows) =>
    Q.apply(values, rows, 1);

/** W·R for every head's inputs. */
const turnHeads =
  (R: Orthogonal, headDim: number): Change =>
  (values) =>
    R.apply(values, values.length / headDim, 1);

/** Qᵀ·W for every n rows; a bias is one column. */
const turnOutputs =
  (Q: Orthogonal, n: number): Change =>
  (values, rows) =>
    Q.apply(values, rows / n, values.length / rows);

const both =
  (...changes: Change[]): Change =>
  (values, rows) => {
    for (const change of changes) change(values, rows);
  };

async function floats({ shards }: Model, name: string): Promise<Float32Array> {
  return toFloats(await shards.readTensor(name), shards.tensors.get(name)!.dtype);
}

/** The tensor that is kept while it is read in parts, as files are copied: one of a model, because a large one has dozens of them. */
interface Kept {
  name: string;
  bytes: Uint8Array | null;
}

interface Making {
  model: Model;
  kept: Kept;
  /** Values that are changed at once. */
  most: number;
}

/** A tensor that is made when it is read. Where all its rows are mixed it is kept until it has been read to its end, or another one is kept. */
function virtual(name: string, recast: Recast, { model, kept, most }: Making): TensorInfo & { file: SourceFile } {
  const { dtype } = recast;
  const { shape } = model.shards.tensors.get(recast.source)!;
  const rowBytes = (elements(shape) / shape[0]) * (dtype === "F32" ? 4 : 2);
  const size = shape[0] * rowBytes;
  const unit = recast.rows * rowBytes;
  const file: SourceFile = {
    name: `${name} (rotated)`,
    size,
    async read(start, end) {
      if (start === end) return new Uint8Array(0);
      const from = Math.floor(start / unit) * unit;
      const to = Math.ceil(end / unit) * unit;
      const made = (kept.name === name && kept.bytes) || (await make(model, recast, { from: from / rowBytes, to: to / rowBytes }, most));
      // Once it is read to its end, nobody is likely to need it again soon.
      if (from === 0 && to === size && end < size) Object.assign(kept, { name, bytes: made });
      else if (kept.name === name) kept.bytes = null;
      return end - start === made.length ? made : made.slice(start - from, end - from);
    },
  };
  return { name, dtype, shape, start: 0, end: size, file };
}

/** Some rows of a rotated tensor, panel by panel. Those of f32 are put where they were read from. */
async function make({ shards }: Model, { source, dtype, change, rows, columns }: Recast, range: Rows, most: number): Promise<Uint8Array> {
  const info = shards.tensors.get(source)!;
  const bytes = await shards.readTensor(source, range);
  checkFinite(source, bytes, info.dtype as FloatDtype);
  const values = toFloats(bytes, info.dtype);
  const made = dtype === "F32" ? values : new Uint16Array(values.length);
  const width = elements(info.shape) / info.shape[0];
  for (const down of steps(range.to - range.from, rows, most / Math.min(columns, width)))
    for (const across of steps(width, columns, most / (down.to - down.from))) {
      const panel = panelOf(values, width, down, across);
      change(panel, down.to - down.from);
      place(made, width, dtype === "F32" ? panel : toF16Words(panel), down, across);
      if (panel.length < made.length) await letEventsIn();
    }
  return new Uint8Array(made.buffer);
}

/** Ranges of whole units with at most `most` in each, or one unit. */
function* steps(count: number, unit: number, most: number): Generator<Rows> {
  const step = Math.max(1, Math.floor(most / unit)) * unit;
  for (let from = 0; from < count; from += step) yield { from, to: Math.min(count, from + step) };
}

/** A panel's values [rows, columns]. */
function panelOf(values: Float32Array, width: number, down: Rows, across: Rows): Float64Array {
  const panel = new Float64Array((down.to - down.from) * (across.to - across.from));
  let i = 0;
  for (let r = down.from; r < down.to; r++) for (let c = across.from; c < across.to; c++) panel[i++] = values[r * width + c];
  return panel;
}

/** Puts a panel where it belongs; f32 rounds it. */
function place(made: Float32Array | Uint16Array, width: number, panel: Float64Array | Uint16Array, down: Rows, across: Rows): void {
  let i = 0;
  for (let r = down.from; r < down.to; r++) for (let c = across.from; c < across.to; c++) made[r * width + c] = panel[i++];
}
