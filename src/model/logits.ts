import { throwIfCancelled } from "../errors";
import { type Activation, type Activations, using } from "../ops/activations";
import { mostColumns, type Ops, type Tensor } from "../ops/ops";
import { type PackedMatrix, restore, rowsOf } from "../ops/packed";
import { loadTensor, type Model } from "./checkpoint";
import { embeddingName, finalNormName, headName } from "./layers";
import type { ModelSpec } from "./spec";
import { type Rows, slices } from "./vocabulary";

/** Bytes of a slice of the head, and of a chunk's logits for it, of all models together. */
const sliceBytes = 32 * 2 ** 20;

/** The most that slices of the heads and a chunk's logits for them take on the device together, in bytes. @param chunk tokens of the largest chunk. */
export const headBytes = ({ vocabulary, hidden }: ModelSpec, chunk: number, models = 1): number =>
  2 * Math.min(sliceBytes, 4 * models * vocabulary * Math.max(hidden, chunk));

/** A model at its end. */
export interface LastStates {
  model: Model;
  /** The residual stream after the last block, of each chunk of windows: [T, hidden]. */
  h: readonly Activation[];
  /** The head as a run rounded it; null: the checkpoint's. */
  rounded: PackedMatrix | null;
}

interface LogitsInput {
  activations: Activations;
  /** On the same tokens and with vocabularies of the same size. */
  models: readonly LastStates[];
  signal?: AbortSignal;
  /** Neither slices of all heads nor a chunk's logits for them take more than this. */
  bytes?: number;
}

/**
 * The logits of each chunk, a slice of the vocabulary at a time: [T, n] of the entries offset…, one tensor a model, which are freed after the visit. Each head is
 * read once, or once for all models where they have the same.
 */
export async function eachLogits(
  { activations, models, signal, bytes = sliceBytes }: LogitsInput,
  visit: (logits: readonly Tensor[], chunk: number, offset: number) => void,
): Promise<void> {
  const { ops } = activations;
  const inputs: Activation[][] = [];
  for (const states of models) inputs.push(await normed(activations, states));
  const widest = Math.max(...models.map(({ model }) => model.spec.hidden), ...models[0].h.map(({ shape }) => shape[0]));
  for (const rows of slices(models[0].model.spec.vocabulary, 4 * widest, bytes / models.length, mostColumns(ops.adapter))) {
    const heads = await headsOf(ops, models, rows);
    for (const chunk of models[0].h.keys()) {
      const logits: Tensor[] = [];
      for (const [i, head] of heads.entries()) logits.push(await using(inputs[i][chunk], (x) => ops.linear(x, head)));
      visit(logits, chunk, rows.from);
      ops.free(...logits);
      await ops.flush();
      throwIfCancelled(signal);
    }
    ops.free(...new Set(heads));
  }
  for (const x of inputs.flat()) x.free();
}

async function normed(activations: Activations, { model, h }: LastStates): Promise<Activation[]> {
  const { ops } = activations;
  const norm = await loadTensor(ops, model, finalNormName);
  const held: Activation[] = [];
  for (const each of h) held.push(await activations.hold(await using(each, (tensor) => ops.rmsNorm(tensor, norm, model.spec.eps))));
  ops.free(norm);
  return held;
}

/** The same rows of each model's head: one tensor for all that have the same. */
async function headsOf(ops: Ops, models: readonly LastStates[], rows: Rows): Promise<Tensor[]> {
  const heads: Tensor[] = [];
  for (const [i, { model, rounded }] of models.entries()) {
    const same = models.findIndex((other) => other.model === model && other.rounded === rounded);
    heads.push(same < i ? heads[same] : await headRows(ops, model, rounded, rows));
  }
  return heads;
}

const headRows = async (ops: Ops, model: Model, rounded: PackedMatrix | null, rows: Rows): Promise<Tensor> =>
  rounded ? restore(ops, rowsOf(rounded, rows.from, rows.to)) : loadTensor(ops, model, model.spec.tied ? embeddingName : headName, rows);
