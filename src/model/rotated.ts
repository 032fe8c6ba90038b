import { toF16Words, toFloats } from "../io/dtype";
import type { Shards, SourceFile, TensorInfo } from "../io/types";
import { elements, type FloatDtype } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";
import { checkFinite, type Model } from "./checkpoint";
import { type Orthogonal, randomHadamard } from "./hadamard";
import { embeddingName, finalNormName, headName, normNames } from "./layers";

/** Changes values [rows, columns] in place. */
type Change = (values: Float64Array, rows: number) => void;

/** How a tensor of the rotated checkpoint is made from one of the original's. */
interface Recast {
  /** The tensor it is made from. */
  source: string;
  dtype: FloatDtype;
  change: Change;
  /** Rows are mixed, so that making one needs all of them. */
  whole: boolean;
}

/**
 * The same function in another basis: fused rotation (QuaRot, Ashkboos et al., 2024, without its online rotations). Norm weights are multiplied into the
 * layers after them, the residual stream is rotated by one orthogonal Q, and each head's values by R, so that outliers spread over all inputs and nothing
 * is left to do at run time. The result is a checkpoint like any other, its tensors made as they are read. The head is untied. Linear layers become F32.
 */
export async function rotateModel(model: Model, seed: number): Promise<Model> {
  const recasts = await recastsOf(model, seed);
  const tensors = new Map<string, TensorInfo & { readonly file: SourceFile }>();
  for (const [name, info] of model.shards.tensors) tensors.set(name, recasts.has(name) ? virtual(model, name, recasts.get(name)!) : info);
  if (!tensors.has(headName)) tensors.set(headName, virtual(model, headName, recasts.get(headName)!));
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
  const add = (name: string, change: Change, { source = name, dtype = "F32", whole = false }: Partial<Recast> = {}) =>
    recasts.set(name, { source, dtype, whole, change });
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
    add(`${of("v_proj")}.weight`, both(scaleInputs(input), turnInputs(Q), turnOutputs(R, headDim)), { whole: true });
    add(`${of("o_proj")}.weight`, both(turnHeads(R, headDim), turnOutputs(Q, hidden)), { whole: true });
    add(`${of("down_proj")}.weight`, turnOutputs(Q, hidden), { whole: true });
    addBias(of("v_proj"), "v_proj", turnOutputs(R, headDim));
    for (const kind of ["o_proj", "down_proj"] as const) addBias(of(kind), kind, turnOutputs(Q, hidden));
  }
  return recasts;

  function addBias(layer: string, kind: LayerKind, change: Change) {
    const name = `${layer}.bias`;
    if (spec.biases.has(kind)) add(name, change, { whole: true, dtype: dtypeOf(name) });
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

/** A tensor that is made when it is read. Where rows are mixed it is kept until it has been read to its end, because files are copied in parts. */
function virtual(model: Model, name: string, recast: Recast): TensorInfo & { file: SourceFile } {
  const { source, dtype, change, whole } = recast;
  const info = model.shards.tensors.get(source)!;
  const [rows] = info.shape;
  const width = elements(info.shape) / rows;
  const rowBytes = width * (dtype === "F32" ? 4 : 2);
  const size = rows * rowBytes;

  async function make(from: number, to: number): Promise<Uint8Array> {
    const bytes = await model.shards.readTensor(source, { from, to });
    checkFinite(source, bytes, info.dtype as FloatDtype);
    const values = Float64Array.from(toFloats(bytes, info.dtype));
    change(values, to - from);
    return new Uint8Array(dtype === "F32" ? Float32Array.from(values).buffer : toF16Words(values).buffer);
  }

  let kept: Uint8Array | null = null;
  const file: SourceFile = {
    name: `${name} (rotated)`,
    size,
    async read(start, end) {
      if (start === end) return new Uint8Array(0);
      if (whole) {
        const made = kept ?? (await make(0, rows));
        // Once it is read to its end, nobody is likely to need it again soon.
        kept = end < size ? made : null;
        return made.slice(start, end);
      }
      const from = Math.floor(start / rowBytes);
      const made = await make(from, Math.ceil(end / rowBytes));
      return made.subarray(start - from * rowBytes, end - from * rowBytes);
    },
  };
  return { name, dtype, shape: info.shape, start: 0, end: size, file };
}
