import { QuantError, throwIfCancelled } from "../errors";
import type { Model } from "../model/checkpoint";
import { createGeometry } from "../model/forward";
import { tokenLosses } from "../model/losses";
import type { Question } from "../model/question";
import type { Encoder } from "../model/tokenizer";
import type { Activations } from "../ops/activations";
import type { QuantizedModel } from "../quant/coded";
import { wholeBlocksOf } from "./blocks";
import { embedChunks } from "./chunks";
import { type Emit, Progress } from "./progress";
import { becomeQuantized } from "./quantized";
import { Stream } from "./stream";
import { embedRounded, roundedHead } from "./tables";

export interface TasksInput {
  activations: Activations;
  model: Model;
  /** Token ids that pass together. Choices of similar length do, padded at the end, which changes nothing in a causal model. */
  tokensPerPass: number;
  emit: Emit;
  signal?: AbortSignal;
  /** The model as a run left it; null: as it is in the checkpoint. */
  quantized?: QuantizedModel | null;
}

/** How a model did on one question. */
export interface Answer {
  kind: string;
  /** The likeliest choice is the right one. */
  right: boolean;
  /** The same for the choices' log-likelihoods divided by their lengths in bytes. */
  normalizedRight: boolean;
}

/** The token ids of one choice: the context's, then its own from `start` on. */
interface Candidate {
  ids: number[];
  start: number;
  bytes: number;
}

/** Zero-shot multiple choice by log-likelihood: one answer per question. */
export async function answerQuestions(
  input: TasksInput,
  encoder: Pick<Encoder, "encode">,
  questions: readonly Question[],
): Promise<Answer[]> {
  const { spec } = input.model;
  const candidates: Candidate[] = [];
  for (const [i, q] of questions.entries())
    for (const choice of q.choices) candidates.push(await candidateOf(encoder, q, choice, i, spec.maxPositions));
  const likelihoods = new Float64Array(candidates.length);
  const byLength = candidates.map((_, i) => i).sort((a, b) => candidates[a].ids.length - candidates[b].ids.length);
  // For every choice each block is one step, and the logits are one more.
  const progress = new Progress(candidates.length * (spec.blocks + 1), input.emit);
  const passes = [...batches(byLength, candidates, input.tokensPerPass)].map((batch) => paddedPass(batch, candidates));
  const losses = await input.activations.job(() =>
    lossesOf(input, passes, (n) => progress.add(n, `choices of ${questions.length} questions`)),
  );
  for (const [p, { rows, length }] of passes.entries())
    for (const [row, i] of rows.entries()) {
      const { ids, start } = candidates[i];
      // The loss at position t is that of id t + 1.
      for (let t = start - 1; t < ids.length - 1; t++) likelihoods[i] -= losses[p][row * length + t];
    }
  return answersOf(questions, candidates, likelihoods);
}

async function candidateOf(
  encoder: Pick<Encoder, "encode">,
  { context }: Question,
  choice: string,
  index: number,
  maxPositions: number,
): Promise<Candidate> {
  const start = (await encoder.encode(context)).length;
  const ids = await encoder.encode(context + choice);
  if (ids.length > maxPositions)
    throw new QuantError(
      "bad-tokens",
      `question ${index + 1} has ${ids.length} tokens, but the model knows only ${maxPositions} positions`,
      "Leave it out of the file, or ask for fewer questions.",
    );
  // At least one token is scored: where the tokenizer merges all of the choice into the context's last token, that one.
  return { ids, start: Math.max(1, Math.min(start, ids.length - 1)), bytes: new TextEncoder().encode(choice.trim()).length };
}

function* batches(order: readonly number[], candidates: readonly Candidate[], tokensPerPass: number): Generator<number[]> {
  let batch: number[] = [];
  for (const i of order) {
    if (batch.length && (batch.length + 1) * candidates[i].ids.length > tokensPerPass) {
      yield batch;
      batch = [];
    }
    batch.push(i);
  }
  if (batch.length) yield batch;
}

/** Choices that pass through the network together. */
interface Pass {
  /** Indices of the choices. */
  rows: readonly number[];
  /** Tokens of each, padded to the longest. */
  length: number;
  ids: Int32Array;
}

function paddedPass(rows: readonly number[], candidates: readonly Candidate[]): Pass {
  const length = Math.max(2, ...rows.map((i) => candidates[i].ids.length));
  const ids = new Int32Array(rows.length * length);
  for (const [row, i] of rows.entries()) ids.set(candidates[i].ids, row * length);
  return { rows, length, ids };
}

/** Losses at each position of each pass. All passes go through a block before the next one is loaded. @param step is called with the choices that passed a block, or the logits. */
async function lossesOf(
  { activations, model, signal, quantized }: TasksInput,
  passes: readonly Pass[],
  step: (choices: number) => void,
): Promise<Float64Array[]> {
  const { ops } = activations;
  const geometries = new Map(passes.map(({ length }) => [length, createGeometry(ops, model.spec, length)]));
  const ids = passes.map((pass) => pass.ids);
  const start =
    (quantized && (await embedRounded(activations, quantized, ids, signal))) ?? (await embedChunks(activations, model, ids, signal));
  const stream = new Stream(
    activations,
    start.map((h, p) => ({ h, geometry: geometries.get(passes[p].length)! })),
  );
  // No other stream starts from these embeddings, so this one frees them.
  stream.own();
  for await (const block of wholeBlocksOf(ops, model)) {
    if (quantized) await becomeQuantized(ops, block, quantized);
    for (const [p, { rows }] of passes.entries()) {
      await stream.pass(p, block);
      await ops.flush();
      throwIfCancelled(signal);
      step(rows.length);
    }
  }
  const rounded = quantized ? await roundedHead(model.spec, quantized) : null;
  const losses = await tokenLosses({ activations, chunks: passes, signal }, { model, h: stream.hs, rounded });
  step(passes.reduce((sum, { rows }) => sum + rows.length, 0));
  return losses;
}

function answersOf(questions: readonly Question[], candidates: readonly Candidate[], likelihoods: Float64Array): Answer[] {
  let next = 0;
  return questions.map(({ kind, choices, answer }) => {
    const mine = Array.from(likelihoods.subarray(next, next + choices.length));
    const perByte = mine.map((l, i) => l / Math.max(1, candidates[next + i].bytes));
    next += choices.length;
    return {
      kind,
      right: mine.indexOf(Math.max(...mine)) === answer,
      normalizedRight: perByte.indexOf(Math.max(...perByte)) === answer,
    };
  });
}
