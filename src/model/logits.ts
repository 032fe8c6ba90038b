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
  /** Told which share of all logits was made. */
  onShare?: (share: number) => void;
}

/**
 * The logits of each chunk, a slice of the vocabulary at a time: [T, n] of the entries offset…, one tensor a model, which are freed after the visit. Each head is
 * read once for every group of chunks, or once for all models where they have the same.
 */
export async function eachLogits(
  input: LogitsInput,
  visit: (logits: readonly Tensor[], chunk: number, offset: number) => void,
): Promise<void> {
  const { activations, models } = input;
  for (const group of groupsOf(models, activations.deviceBudget / 2)) {
    const release = await activations.reserve(group.bytes);
    try {
      await groupLogits(input, group.chunks, visit);
    } finally {
      release();
    }
  }
}

/**
 * Runs of chunks whose inputs of the heads stay on the device together. All slices go over one group before the next group's turn: inputs that do not fit
 * would otherwise be brought back for every slice, of which there are more than a hundred.
 */
function groupsOf(models: readonly LastStates[], most: number): { chunks: number[]; bytes: number }[] {
  const perToken = 4 * models.reduce((sum, { model }) => sum + model.spec.hidden, 0);
  const groups: { chunks: number[]; bytes: number }[] = [];
  for (const [chunk, { shape }] of models[0].h.entries()) {
    const bytes = perToken * shape[0];
    const last = groups.at(-1);
    if (!last || last.bytes + bytes > most) groups.push({ chunks: [chunk], bytes });
    else {
      last.chunks.push(chunk);
      last.bytes += bytes;
    }
  }
  return groups;
}

async function groupLogits(
  { activations: { ops }, models, signal, bytes = sliceBytes, onShare }: LogitsInput,
  chunks: readonly number[],
  visit: (logits: readonly Tensor[], chunk: number, offset: number) => void,
): Promise<void> {
  const { vocabulary } = models[0].model.spec;
  const tokens = models[0].h.map(({ shape }) => shape[0]);
  const all = vocabulary * tokens.reduce((a, b) => a + b, 0);
  const inputs: Tensor[][] = [];
  for (const states of models) inputs.push(await normed(ops, states, chunks));
  const widest = Math.max(...models.map(({ model }) => model.spec.hidden), ...tokens);
  for (const rows of slices(vocabulary, 4 * widest, bytes / models.length, mostColumns(ops.adapter))) {
    const heads = await headsOf(ops, models, rows);
    for (const [at, chunk] of chunks.entries()) {
      const logits = heads.map((head, i) => ops.linear(inputs[i][at], head));
      visit(logits, chunk, rows.from);
      ops.free(...logits);
      await ops.flush();
      throwIfCancelled(signal);
      onShare?.(((rows.to - rows.from) * tokens[chunk]) / all);
    }
    ops.free(...new Set(heads));
  }
  ops.free(...inputs.flat());
}

async function normed(ops: Ops, { model, h }: LastStates, chunks: readonly number[]): Promise<Tensor[]> {
  const norm = await loadTensor(ops, model, finalNormName);
  const made: Tensor[] = [];
  for (const chunk of chunks) made.push(await using(h[chunk], (tensor) => ops.rmsNorm(tensor, norm, model.spec.eps)));
  ops.free(norm);
  return made;
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
