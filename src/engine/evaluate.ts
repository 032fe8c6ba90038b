import { throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { LastStates } from "../model/logits";
import { type Ids, tokenDivergences, tokenLosses } from "../model/losses";
import type { QuantizedModel } from "../quant/coded";
import type { Evaluation, Perplexity, SideBySide } from "../results/measures";
import type { BlockReport } from "../results/report";
import { wholeBlocksOf } from "./blocks";
import { chunksOf } from "./chunks";
import { divergenceOf, perplexityOfLosses } from "./divergence";
import { growth } from "./growth";
import { type EvaluationInput, evaluationProgress, passAll, passedThrough, startStreams } from "./passes";
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
    const losses = await tokenLosses({ activations, chunks: windowsIn(chunks, tokens), signal }, { model, h: stream.hs, rounded: null });
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
    const rounded = await roundedHead(model.spec, quantized);
    const measured = await sideBySide(input, chunks, { model, h: full.hs, rounded: null }, { model, h: other.hs, rounded });
    for (const stream of [full, other]) stream.end();
    progress.finish("Done");
    return { ...measured, blocks, ms: performance.now() - started };
  });
}

/** A checkpoint beside another one that it was made of, on the same tokens. The two may have different sizes, but must have the same vocabulary. */
export function evaluateAgainst(input: EvaluationInput, original: Model): Promise<SideBySide> {
  const { activations, tokens, perChunk, emit } = input;
  return activations.job(async () => {
    const chunks = chunksOf(tokens, perChunk);
    const sides: { stream: Stream; states: LastStates }[] = [];
    for (const [part, model] of [original, input.model].entries()) {
      const side = { ...input, model, emit: partOf(emit, part, 2) };
      const stream = await passedThrough(side, chunks, evaluationProgress(side, 1));
      sides.push({ stream, states: { model, h: stream.hs, rounded: null } });
    }
    const measured = await sideBySide(input, chunks, sides[0].states, sides[1].states);
    for (const { stream } of sides) stream.end();
    emit({ type: "progress", done: 1, total: 1, where: "Done" });
    return measured;
  });
}

async function sideBySide(
  { activations, tokens, signal }: EvaluationInput,
  chunks: readonly Int32Array[],
  original: LastStates,
  other: LastStates,
): Promise<SideBySide> {
  const found = await tokenDivergences({ activations, chunks: windowsIn(chunks, tokens), signal }, [original, other]);
  return {
    perplexityBefore: perplexityOfLosses(found.before),
    perplexity: perplexityOfLosses(found.after),
    divergence: divergenceOf(found),
    tokens: tokens.ids.length,
    windows: tokens.windows,
  };
}

const windowsIn = (chunks: readonly Int32Array[], { length }: TokenWindows): Ids[] => chunks.map((ids) => ({ ids, length }));
