import { QuantError, throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { createGeometry, freeBlock, loadBlock } from "../model/forward";
import type { Question } from "../model/question";
import type { Encoder } from "../model/tokenizer";
import { tokenLosses } from "../model/vocabulary";
import type { Ops } from "../ops/ops";
import { embedChunks } from "./chunks";
import { type Emit, Progress } from "./progress";
import { Stream } from "./stream";

export interface TaskScore {
  kind: string;
  questions: number;
  /** Share of questions whose likeliest choice is the right one. */
  accuracy: number;
  /** The same with each choice's log-likelihood over its length in bytes. */
  normalizedAccuracy: number;
}

/** One choice as ids: the context's, then its own from `start` on. */
interface Candidate {
  ids: number[];
  start: number;
  bytes: number;
}

/** Token ids of one pass: choices of similar length go together, padded at the end, which a causal model does not see. */
const tokensPerPass = 4096;

/** Zero-shot multiple choice by log-likelihood, one score a kind and one over all ("all"). */
export async function scoreTasks(
  { ops, model, emit, signal }: { ops: Ops; model: Model; emit: Emit; signal?: AbortSignal },
  encoder: Encoder,
  questions: readonly Question[],
): Promise<TaskScore[]> {
  const candidates = questions.flatMap((q) => q.choices.map((choice) => candidateOf(encoder, q, choice, model.spec.maxPositions)));
  const likelihoods = new Float64Array(candidates.length);
  const byLength = candidates.map((_, i) => i).sort((a, b) => candidates[a].ids.length - candidates[b].ids.length);
  const progress = new Progress(candidates.length, emit);
  for (const batch of batches(byLength, candidates)) {
    const losses = await lossesOf(
      ops,
      model,
      batch.map((i) => candidates[i].ids),
      signal,
    );
    for (const [row, i] of batch.entries()) {
      const { ids, start } = candidates[i];
      // The loss at position t is that of id t + 1.
      for (let t = start - 1; t < ids.length - 1; t++) likelihoods[i] -= losses[row][t];
    }
    progress.add(batch.length, `choices of ${questions.length} questions`);
  }
  return scores(questions, candidates, likelihoods);
}

function candidateOf(encoder: Encoder, { context, kind }: Question, choice: string, maxPositions: number): Candidate {
  const start = encoder.encode(context).length;
  const ids = encoder.encode(context + choice);
  if (ids.length > maxPositions)
    throw new QuantError("bad-tokens", `a question (${kind}) has ${ids.length} tokens, the model knows ${maxPositions} positions`);
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

/** Losses of each row of ids, padded to one length. */
async function lossesOf(ops: Ops, model: Model, rows: readonly number[][], signal?: AbortSignal): Promise<Float64Array[]> {
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
      stream.enter(block);
      for (let c = 0; c < chunks.length; c++) stream.pass(c, block);
      await ops.flush();
      throwIfCancelled(signal);
      freeBlock(ops, block);
    }
    const last = chunks.map((chunk, c) => ({ h: stream.h(c), ids: chunk.ids }));
    const all = (await tokenLosses(ops, model, last, length, signal)).flatMap((part) => [...part]);
    return rows.map((_, w) => Float64Array.from(all.slice(w * length, (w + 1) * length)));
  } finally {
    scope.end();
  }
}

function scores(questions: readonly Question[], candidates: readonly Candidate[], likelihoods: Float64Array): TaskScore[] {
  const tally = new Map<string, { questions: number; right: number; normalized: number }>();
  let next = 0;
  for (const { kind, choices, answer } of questions) {
    const mine = Array.from(likelihoods.subarray(next, next + choices.length));
    const perByte = mine.map((l, i) => l / Math.max(1, candidates[next + i].bytes));
    next += choices.length;
    for (const name of [kind, "all"]) {
      const t = tally.get(name) ?? { questions: 0, right: 0, normalized: 0 };
      t.questions++;
      t.right += Number(mine.indexOf(Math.max(...mine)) === answer);
      t.normalized += Number(perByte.indexOf(Math.max(...perByte)) === answer);
      tally.set(name, t);
    }
  }
  const list = [...tally].map(([kind, t]) => ({
    kind,
    questions: t.questions,
    accuracy: t.right / t.questions,
    normalizedAccuracy: t.normalized / t.questions,
  }));
  return list.sort((a, b) => Number(a.kind === "all") - Number(b.kind === "all"));
}
