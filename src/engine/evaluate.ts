import { throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { type Block, createGeometry, freeBlock, loadBlock } from "../model/forward";
import { stages } from "../model/layers";
import { negativeLogLikelihood } from "../model/vocabulary";
import type { Ops } from "../ops/ops";
import type { QuantizedModel } from "../quant/stored";
import type { Evaluation } from "../results/measures";
import type { BlockReport } from "../results/report";
import { type Chunk, embedChunks } from "./chunks";
import { growth } from "./growth";
import { type Emit, Progress } from "./progress";
import { quantizedBlock } from "./quantized";
import { Stream } from "./stream";
import { forwardWork } from "./work";

export interface EvaluationInput {
  ops: Ops;
  model: Model;
  tokens: TokenWindows;
  emit: Emit;
  signal?: AbortSignal;
}

/** Perplexity of the checkpoint as it is: exp of the mean negative log-likelihood of positions 1… of every window. */
export async function perplexity(input: EvaluationInput): Promise<{ perplexity: number; tokens: number; windows: number }> {
  const { ops, model, tokens, signal } = input;
  const progress = evaluationProgress(input, 1);
  return inScope(ops, async () => {
    const chunks = await embedChunks(ops, model, tokens);
    const stream = newStream(ops, model, tokens, chunks);
    for (let m = 0; m < model.spec.blocks; m++) {
      const block = await loadBlock(ops, model, m);
      await passAll(input, stream, block, progress);
      freeBlock(ops, block);
    }
    const value = await streamPerplexity(input, stream, chunks);
    progress.finish("Done");
    throwIfCancelled(signal);
    return { perplexity: value, tokens: tokens.ids.length, windows: tokens.windows };
  });
}

/** Perplexity before and after on one text, and Δ_m on it: both models side by side, block by block. */
export async function compare(input: EvaluationInput, quantized: QuantizedModel): Promise<Evaluation> {
  const { ops, model, tokens } = input;
  const started = performance.now();
  const progress = evaluationProgress(input, 2);
  return inScope(ops, async () => {
    const chunks = await embedChunks(ops, model, tokens);
    const full = newStream(ops, model, tokens, chunks);
    const other = newStream(ops, model, tokens, chunks);
    const blocks: BlockReport[] = [];
    for (let m = 0; m < model.spec.blocks; m++) {
      const block = await loadBlock(ops, model, m);
      const after = quantizedBlock(ops, block, quantized);
      await passAll(input, full, block, progress);
      await passAll(input, other, after.block, progress);
      blocks.push(
        await growth(
          ops,
          m,
          chunks.length,
          (c) => full.h(c),
          (c) => other.h(c),
        ),
      );
      after.free();
      freeBlock(ops, block);
    }
    const perplexityBefore = await streamPerplexity(input, full, chunks);
    const perplexityAfter = await streamPerplexity(input, other, chunks);
    progress.finish("Done");
    return {
      perplexityBefore,
      perplexity: perplexityAfter,
      blocks,
      tokens: tokens.ids.length,
      windows: tokens.windows,
      ms: performance.now() - started,
    };
  });
}

async function inScope<T>(ops: Ops, work: () => Promise<T>): Promise<T> {
  const scope = ops.scope();
  try {
    return await work();
  } finally {
    scope.end();
  }
}

function newStream(ops: Ops, model: Model, tokens: TokenWindows, chunks: readonly Chunk[]): Stream {
  return new Stream(
    ops,
    createGeometry(ops, model.spec, tokens.length),
    chunks.map((c) => c.h),
  );
}

async function passAll({ ops, signal }: EvaluationInput, stream: Stream, block: Block, progress: EvaluationProgress): Promise<void> {
  stream.enter(block);
  for (let c = 0; c < stream.chunks; c++) {
    stream.pass(c, block);
    await ops.flush();
    throwIfCancelled(signal);
    progress.block(block.index, stream.chunks);
  }
}

async function streamPerplexity(
  { ops, model, tokens, signal }: EvaluationInput,
  stream: Stream,
  chunks: readonly Chunk[],
): Promise<number> {
  const last = chunks.map(({ ids }, c) => ({ h: stream.h(c), ids }));
  const { sum, count } = await negativeLogLikelihood(ops, model, last, tokens.length, signal);
  stream.end();
  return Math.exp(sum / count);
}

interface EvaluationProgress {
  block(index: number, chunks: number): void;
  finish(where: string): void;
}

/** Blocks and, as one more step, the logits. */
function evaluationProgress({ model: { spec }, tokens, emit }: EvaluationInput, streams: number): EvaluationProgress {
  const perBlock = stages.reduce((sum, stage) => sum + forwardWork(spec, stage, tokens.ids.length, tokens.length), 0);
  const head = 2 * tokens.ids.length * spec.hidden * spec.vocabulary;
  const progress = new Progress(streams * (spec.blocks * perBlock + head), emit);
  return {
    block: (index, chunks) => progress.add(perBlock / chunks, `block ${index + 1} of ${spec.blocks}`),
    finish: (where) => progress.finish(where),
  };
}
