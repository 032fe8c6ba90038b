import { QuantError, throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { createGeometry, freeBlock, loadBlock } from "../model/forward";
import type { Question } from "../model/question";
import type { Encoder } from "../model/tokenizer";
import { tokenLosses } from "../model/vocabulary";
import type { Ops } from "../ops/ops";
import type { QuantizedModel } from "../quant/stored";
import { embedChunks } from "./chunks";
import { type Emit, Progress } from "./progress";
import { quantizedBlock } from "./quantized";
import { Stream } from "./stream";

export interface TasksInput {
  ops: Ops;
  model: Model;
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
  /** The same with each choice's log-likelihood over its length in bytes. */
  normalizedRight: boolean;
}

/** One choice as ids: the context's, then its own from `start` on. */
interface Candidate {
  ids: number[];
  start: number;
  bytes: number;
}

/** Token ids of one pass: choices of similar length go together, padded at the end, which a causal model does not see. */
const tokensPerPass = 4096;

/** Zero-shot multiple choice by log-likelihood, an answer a question. */
export async function answerQuestions(
  input: TasksInput,
  encoder: Pick<Encoder, "encode">,
  questions: readonly Question[],
): Promise<Answer[]> {
  const { spec } = input.model;
  const candidates = questions.flatMap((q, i) => q.choices.map((choice) => candidateOf(encoder, q, choice, i, spec.maxPositions)));
  const likelihoods = new Float64Array(candidates.length);
  const byLength = candidates.map((_, i) => i).sort((a, b) => candidates[a].ids.length - candidates[b].ids.length);
  // Each block is a step of a choice's way, the logits one more.
  const progress = new Progress(candidates.length * (spec.blocks + 1), input.emit);
  for (const batch of batches(byLength, candidates)) {
    const rows = batch.map((i) => candidates[i].ids);
    const losses = await lossesOf(input, rows, () => progress.add(batch.length, `choices of ${questions.length} questions`));
    for (const [row, i] of batch.entries()) {
      const { ids, start } = candidates[i];
      // The loss at position t is that of id t + 1.
      for (let t = start - 1; t < ids.length - 1; t++) likelihoods[i] -= losses[row][t];
    }
  }
  return answersOf(questions, candidates, likelihoods);
}

function candidateOf(
  encoder: Pick<Encoder, "encode">,
  { context }: Question,
  choice: string,
  index: number,
  maxPositions: number,
): Candidate {
  const start = encoder.encode(context).length;
  const ids = encoder.encode(context + choice);
  if (ids.length > maxPositions)
    throw new QuantError(
      "bad-tokens",
      `question ${index + 1} has ${ids.length} tokens, the model knows ${maxPositions} positions`,
      "Leave it out of the file, or ask for fewer questions.",
    );
  // Where a choice melts into its context's last token, that token is scored with it.
  return { ids, start: Math.max(1, Math.min(start, ids.length - 1)), bytes: new TextEncoder().encode(choice.trim()).length };
}

function* batches(order: readonly number[], candidates: readonly Candidate[]): Generator<number[]> {
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

/** Losses of each row of ids, padded to one length. `step` is called after every block and after the logits. */
async function lossesOf(
  { ops, model, signal, quantized }: TasksInput,
  rows: readonly number[][],
  step: () => void,
): Promise<Float64Array[]> {
  const length = Math.max(2, ...rows.map((r) => r.length));
  const ids = new Int32Array(rows.length * length);
  for (const [w, row] of rows.entries()) ids.set(row, w * length);
  const tokens: TokenWindows = { length, windows: rows.length, ids };
  const scope = ops.scope();
  try {
    const chunks = await embedChunks(ops, model, tokens);
    const stream = new Stream(
      ops,
      createGeometry(ops, model.spec, length),
      chunks.map((c) => c.h),
    );
    for (let m = 0; m < model.spec.blocks; m++) {
      const block = await loadBlock(ops, model, m);
      const after = quantized ? quantizedBlock(ops, block, quantized) : null;
      stream.enter(after?.block ?? block);
      for (let c = 0; c < chunks.length; c++) stream.pass(c, after?.block ?? block);
      await ops.flush();
      throwIfCancelled(signal);
      after?.free();
      freeBlock(ops, block);
      step();
    }
    const last = chunks.map((chunk, c) => ({ h: stream.h(c), ids: chunk.ids }));
    const all = (await tokenLosses(ops, model, last, length, signal)).flatMap((part) => [...part]);
    step();
    return rows.map((_, w) => Float64Array.from(all.slice(w * length, (w + 1) * length)));
  } finally {
    scope.end();
  }
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
