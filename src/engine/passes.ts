import { throwIfCancelled } from "../errors";
import type { Block } from "../model/block";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { createGeometry } from "../model/forward";
import type { Activation, Activations } from "../ops/activations";
import { wholeBlocksOf } from "./blocks";
import { embedChunks } from "./chunks";
import { type Emit, Progress } from "./progress";
import { Stream } from "./stream";
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

/** The residual stream of a checkpoint as it is, after its last block. */
export async function passedThrough(input: EvaluationInput, chunks: readonly Int32Array[], progress: EvaluationProgress): Promise<Stream> {
  const [stream] = await startStreams(input, chunks, 1);
  for await (const block of wholeBlocksOf(input.activations.ops, input.model)) await passAll(input, stream, block, progress);
  return stream;
}

/** Several streams that start from the same embeddings, or the last one from rounded ones. */
export async function startStreams(
  { activations, model, tokens, signal }: EvaluationInput,
  chunks: readonly Int32Array[],
  count: number,
  rounded: readonly Activation[] | null = null,
): Promise<Stream[]> {
  const geometry = createGeometry(activations.ops, model.spec, tokens.length);
  const start = await embedChunks(activations, model, chunks, signal);
  return Array.from({ length: count }, (_, i) => {
    const from = i === count - 1 ? (rounded ?? start) : start;
    return new Stream(
      activations,
      from.map((h) => ({ h, geometry })),
    );
  });
}

export async function passAll(
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

export interface EvaluationProgress {
  block(index: number, chunks: number): void;
  /** A share of all streams' logits was made. */
  logits(share: number): void;
  finish(where: string): void;
}

/** Progress through the blocks of `streams` streams and their logits. */
export function evaluationProgress({ model: { spec }, tokens, emit }: EvaluationInput, streams: number): EvaluationProgress {
  const perBlock = blockWork(spec, tokens.ids.length, tokens.length);
  const head = 2 * tokens.ids.length * spec.hidden * spec.vocabulary;
  const progress = new Progress(streams * (spec.blocks * perBlock + head), emit);
  return {
    block: (index, chunks) => progress.add(perBlock / chunks, `block ${index + 1} of ${spec.blocks}`),
    logits: (share) => progress.add(streams * head * share, "predictions"),
    finish: (where) => progress.finish(where),
  };
}
