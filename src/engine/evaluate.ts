import { throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { LastStates } from "../model/logits";
import { type Ids, tokenDivergences, tokenLosses } from "../model/losses";
import type { QuantizedModel } from "../quant/coded";
import type { Comparison, Evaluation, Perplexity, SideBySide } from "../results/measures";
import type { BlockReport } from "../results/report";
import { readingBlocksAhead, wholeBlocksOf, withBlock } from "./blocks";
import { chunksOf } from "./chunks";
import { divergenceOf, perplexityOfLosses } from "./divergence";
import { growth } from "./growth";
import { type EvaluationInput, type EvaluationProgress, evaluationProgress, passAll, passedThrough, startStreams } from "./passes";
import { partOf } from "./progress";
import { becomeQuantized } from "./quantized";
import type { Stream } from "./stream";
import { embedRounded, roundedHead } from "./tables";

/** Perplexity of the checkpoint as it is: exp of the mean negative log-likelihood of every token but the first of each window. */
export function perplexityOf(input: EvaluationInput): Promise<Perplexity> {
  const { activations, model, tokens, perChunk, signal } = input;
  const progress = evaluationProgress(input, 1);
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const stream = await passedThrough(input, chunks, progress);
    const losses = await tokenLosses(
      { activations, chunks: windowsIn(chunks, tokens), signal, onShare: progress.logits },
      { model, h: stream.hs, rounded: null },
    );
    stream.end();
    progress.finish("Done");
    throwIfCancelled(signal);
    const counted = losses.flatMap((of) => Array.from(of.filter((loss) => !Number.isNaN(loss))));
    return { perplexity: perplexityOfLosses(counted), tokens: tokens.ids.length, windows: tokens.windows };
  });
}

/** A run beside its checkpoint on one text: perplexity before and after, KL divergence, and Δ_m. Both models go side by side, block by block. */
export function evaluate(input: EvaluationInput, quantized: QuantizedModel): Promise<Evaluation> {
  const { activations, model, tokens, perChunk } = input;
  const started = performance.now();
  const progress = evaluationProgress(input, 2);
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const [full, other] = await startStreams(input, chunks, 2, await embedRounded(activations, quantized, chunks, input.signal));
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
    const rounded = await roundedHead(model.spec, quantized);
    const sides = [full, other].map(({ hs }, s): LastStates => ({ model, h: hs, rounded: s ? rounded : null }));
    const measured = await sideBySide(input, chunks, sides, progress);
    for (const stream of [full, other]) stream.end();
    progress.finish("Done");
    return { ...measured, blocks, ms: performance.now() - started };
  });
}

/**
 * A checkpoint beside another one that it was made of, on the same tokens, and Δ_m where their residual streams have the same sizes. The two must have the same
 * vocabulary.
 */
export function evaluateAgainst(input: EvaluationInput, original: Model): Promise<Comparison> {
  const { activations, tokens, perChunk, emit } = input;
  const sides = [original, input.model].map((model, part) => ({ ...input, model, emit: partOf(emit, part, 2) }));
  const isAlike = hasSameStream(original.spec, input.model.spec);
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const { streams, blocks, noDelta, progress } = isAlike
      ? await passedTogether(input, original, chunks)
      : await passedInTurn(sides, chunks);
    const last = streams.map((stream, s): LastStates => ({ model: sides[s].model, h: stream.hs, rounded: null }));
    const measured = await sideBySide(input, chunks, last, progress);
    for (const stream of streams) stream.end();
    emit({ type: "progress", done: 1, total: 1, where: "Done" });
    return { ...measured, blocks, noDelta };
  });
}

const hasSameStream = (a: Model["spec"], b: Model["spec"]): boolean => a.blocks === b.blocks && a.hidden === b.hidden;

/** The residual streams of two checkpoints after their last blocks, and how far they are apart after each. */
interface TwoStreams extends Pick<Comparison, "blocks" | "noDelta"> {
  streams: Stream[];
  progress: EvaluationProgress;
}

/** Block by block, each checkpoint's loaded and freed before the other's. */
async function passedTogether(input: EvaluationInput, original: Model, chunks: readonly Int32Array[]): Promise<TwoStreams> {
  const { emit } = input;
  const { ops } = input.activations;
  const progress = evaluationProgress(input, 2);
  const sides: { model: Model; stream: Stream }[] = [];
  for (const model of [original, input.model]) {
    const [stream] = await startStreams({ ...input, model }, chunks, 1);
    sides.push({ model: { ...model, shards: readingBlocksAhead(model) }, stream });
  }
  const streams = sides.map(({ stream }) => stream);
  const apart = (m: number) =>
    growth(
      ops,
      m,
      chunks.length,
      (c) => streams[0].h(c),
      (c) => streams[1].h(c),
    );
  // Before the first block: no rounding takes embeddings farther from the original's than 0 is; turned at random they are √2 times as far.
  const isTurned = (await apart(-1)).relativeDelta > 1;
  const blocks: BlockReport[] = [];
  for (let m = 0; m < original.spec.blocks; m++) {
    for (const { model, stream } of sides) await withBlock(ops, model, m, (block) => passAll(input, stream, block, progress));
    if (isTurned) continue;
    const block = await apart(m);
    blocks.push(block);
    emit({ type: "block", block });
  }
  return { streams, progress, ...(isTurned ? { blocks: null, noDelta: "coordinates" } : { blocks, noDelta: null }) };
}

async function passedInTurn(sides: readonly EvaluationInput[], chunks: readonly Int32Array[]): Promise<TwoStreams> {
  const streams: Stream[] = [];
  const progresses = sides.map((side) => evaluationProgress(side, 1));
  for (const [s, side] of sides.entries()) streams.push(await passedThrough(side, chunks, progresses[s]));
  return { streams, progress: progresses[1], blocks: null, noDelta: "sizes" };
}

async function sideBySide(
  { activations, tokens, signal }: EvaluationInput,
  chunks: readonly Int32Array[],
  [original, other]: readonly LastStates[],
  { logits }: EvaluationProgress,
): Promise<SideBySide> {
  const found = await tokenDivergences({ activations, chunks: windowsIn(chunks, tokens), signal, onShare: logits }, [original, other]);
  return {
    perplexityBefore: perplexityOfLosses(found.before),
    perplexity: perplexityOfLosses(found.after),
    divergence: divergenceOf(found),
    tokens: tokens.ids.length,
    windows: tokens.windows,
  };
}

const windowsIn = (chunks: readonly Int32Array[], { length }: TokenWindows): Ids[] => chunks.map((ids) => ({ ids, length }));
