import { throwIfCancelled } from "../errors";
import type { Block } from "../model/block";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { createGeometry } from "../model/forward";
import { tokenLosses } from "../model/vocabulary";
import type { Activation, Activations } from "../ops/activations";
import type { PackedMatrix } from "../ops/packed";
import type { QuantizedModel } from "../quant/coded";
import type { Evaluation, Perplexity } from "../results/measures";
import type { BlockReport } from "../results/report";
import { wholeBlocksOf } from "./blocks";
import { chunksOf, embedChunks } from "./chunks";
import { growth } from "./growth";
import { type Emit, Progress } from "./progress";
import { becomeQuantized } from "./quantized";
import { Stream } from "./stream";
import { embedRounded, roundedHead } from "./tables";
import { blockWork } from "./work";

export interface EvaluationInput {
  activations: Activations;
  model: Model;
  tokens: TokenWindows;
  /** Windows of a chunk. */
  perChunk: number;
  emit: Emit;
  signal?: AbortSignal;
}

/** Perplexity of the checkpoint as it is: exp of the mean negative log-likelihood of every token but the first of each window. */
export function perplexityOf(input: EvaluationInput): Promise<Perplexity> {
  const { activations, model, tokens, perChunk, signal } = input;
  const progress = evaluationProgress(input, 1);
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const [stream] = await startStreams(input, chunks, 1);
    for await (const block of wholeBlocksOf(activations.ops, model)) await passAll(input, stream, block, progress);
    const value = await streamPerplexity(input, stream, chunks);
    progress.finish("Done");
    throwIfCancelled(signal);
    return { perplexity: value, tokens: tokens.ids.length, windows: tokens.windows };
  });
}

/** Perplexity before and after on one text, and Δ_m on it: both models side by side, block by block. */
export function evaluate(input: EvaluationInput, quantized: QuantizedModel): Promise<Evaluation> {
  const { activations, model, tokens, perChunk } = input;
  const started = performance.now();
  const progress = evaluationProgress(input, 2);
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const [full, other] = await startStreams(input, chunks, 2, await embedRounded(activations, quantized, chunks));
    const blocks: BlockReport[] = [];
    for await (const block of wholeBlocksOf(activations.ops, model)) {
      await passAll(input, full, block, progress);
      await becomeQuantized(activations.ops, block, quantized);
      await passAll(input, other, block, progress);
      blocks.push(
        await growth(
          activations.ops,
          block.index,
          chunks.length,
          (c) => full.h(c),
          (c) => other.h(c),
        ),
      );
    }
    const perplexityBefore = await streamPerplexity(input, full, chunks);
    const perplexityAfter = await streamPerplexity(input, other, chunks, await roundedHead(model.spec, quantized));
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

/** Several streams that start from the same embeddings, or the last one from rounded ones. */
async function startStreams(
  { activations, model, tokens }: EvaluationInput,
  chunks: readonly Int32Array[],
  count: number,
  rounded: readonly Activation[] | null = null,
): Promise<Stream[]> {
  const geometry = createGeometry(activations.ops, model.spec, tokens.length);
  const start = await embedChunks(activations, model, chunks);
  return Array.from({ length: count }, (_, i) => {
    const from = i === count - 1 ? (rounded ?? start) : start;
    return new Stream(
      activations,
      from.map((h) => ({ h, geometry })),
    );
  });
}

async function passAll(
  { activations, signal }: EvaluationInput,
  stream: Stream,
  block: Block,
  progress: EvaluationProgress,
): Promise<void> {
  for (let c = 0; c < stream.chunks; c++) {
    await stream.pass(c, block);
    await activations.ops.flush();
    throwIfCancelled(signal);
    progress.block(block.index, stream.chunks);
  }
}

async function streamPerplexity(
  { activations, model, tokens, signal }: EvaluationInput,
  stream: Stream,
  chunks: readonly Int32Array[],
  head: PackedMatrix | null = null,
): Promise<number> {
  const last = chunks.map((ids, c) => ({ h: stream.h(c), ids, length: tokens.length }));
  let sum = 0;
  let count = 0;
  for (const losses of await tokenLosses(activations, model, last, head, signal))
    for (const loss of losses)
      if (!Number.isNaN(loss)) {
        sum += loss;
        count++;
      }
  stream.end();
  return Math.exp(sum / count);
}

interface EvaluationProgress {
  block(index: number, chunks: number): void;
  finish(where: string): void;
}

/** Progress through the blocks of `streams` streams; the logits are the rest of the total, added at the end. */
function evaluationProgress({ model: { spec }, tokens, emit }: EvaluationInput, streams: number): EvaluationProgress {
  const perBlock = blockWork(spec, tokens.ids.length, tokens.length);
  const head = 2 * tokens.ids.length * spec.hidden * spec.vocabulary;
  const progress = new Progress(streams * (spec.blocks * perBlock + head), emit);
  return {
    block: (index, chunks) => progress.add(perBlock / chunks, `block ${index + 1} of ${spec.blocks}`),
    finish: (where) => progress.finish(where),
  };
}
