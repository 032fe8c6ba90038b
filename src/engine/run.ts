import { version } from "../../package.json";
import { QuantError, throwIfCancelled } from "../errors";
import { checkCopies } from "../export/range";
import type { Calibration, TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { type Block, createGeometry, freeBlock, loadBlock } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import type { Ops, Scope, Tensor } from "../ops/ops";
import type { QuantizedModel } from "../quant/stored";
import { isBase, needsHeldOut, type Recipe, recipeTitle } from "../recipe/recipe";
import { settingsOf } from "../recipe/rules";
import type { BlockReport, LayerReport, RunReport } from "../results/report";
import { quantizeBlock } from "./block";
import { chunkCount, startOf } from "./chunks";
import { growth } from "./growth";
import { type BlockJob, timed } from "./job";
import { checkRecipe } from "./plan";
import { type Emit, Progress } from "./progress";
import { FullPrecision, type Recording, Stream } from "./stream";
import { forwardWork, type Load, loadOf, quantizedBlocks, runWork } from "./work";

export interface RunInput {
  ops: Ops;
  model: Model;
  tokens: TokenWindows;
  /** Windows of the same length on which α is chosen, where the recipe wants that. */
  heldOut?: TokenWindows | null;
  recipe: Recipe;
  emit: Emit;
  signal?: AbortSignal;
  /** Where the full-precision stream is kept for the next run over the same tokens; used as far as it goes, and continued. The caller's. */
  recording?: Recording | null;
}

export interface RunResult {
  report: RunReport;
  quantized: QuantizedModel;
}

/**
 * Quantizes a model block by block and follows Δ_m through all of it. Everything allocated on the device is freed at the end,
 * whatever the end is, except a recording.
 * @throws QuantError; `cancelled` within one chunk of work of the signal.
 */
export async function run(input: RunInput): Promise<RunResult> {
  const { ops, model, recipe, recording } = input;
  checkRecipe(model.spec, recipe);
  const started = performance.now();
  ops.resetPeak();
  const scope = ops.scope();
  try {
    const calibration: Calibration = { tokens: input.tokens, heldOut: input.heldOut ?? null };
    if (needsHeldOut(recipe) && !calibration.heldOut) throw new QuantError("internal", "no windows were held out");
    await checkCopies(model, recipe, input.signal);
    const start = recording?.start ?? (await startOf(ops, model, calibration));
    const { quantized, ...told } = await runBlocks(input, loadOf(calibration), start, scope);
    const ms = performance.now() - started;
    const report = { version, recipe, adapter: ops.adapter.description, ...told, ms, peakGpuBytes: ops.peakBytes };
    return { report, quantized };
  } finally {
    scope.end();
  }
}

async function runBlocks(input: RunInput, load: Load, start: readonly Tensor[], scope: Scope) {
  const { ops, model, tokens, recipe, emit, signal, recording = null } = input;
  const { spec } = model;
  const kept = recording?.residuals.length === spec.blocks;
  const geometry = createGeometry(ops, spec, tokens.length);
  const full = new FullPrecision(ops, geometry, start, recording, scope);
  const quantizedStream = new Stream(ops, geometry, start);
  const reports: LayerReport[] = [];
  const blocks: BlockReport[] = [];
  const count = quantizedBlocks(spec, recipe);
  const listen: Emit = (event) => {
    if (event.type === "layer") reports.push(event.layer);
    emit(event);
  };
  const job: BlockJob = {
    ops,
    geometry,
    recipe,
    tokens: load.tokens,
    chunks: chunkCount(spec, tokens),
    heldTokens: load.heldTokens,
    full,
    quantized: quantizedStream,
    replay: kept,
    progress: new Progress(runWork(spec, recipe, load, kept), listen),
    emit: listen,
    signal,
    layers: new Map(),
    replaced: new Map(),
    streamMs: 0,
  };
  listen({ type: "start", blocks: spec.blocks, quantizedBlocks: count });
  listen({
    type: "log",
    level: "info",
    message: `${recipeTitle(recipe)}: ${tokens.windows} windows of ${tokens.length} tokens${isBase(recipe) ? "" : `, damping ${recipe.qep.damp}`}${needsHeldOut(recipe) ? `; α is chosen on ${input.heldOut!.windows} other windows` : ""}.`,
  });
  for (let m = 0; m < spec.blocks; m++) {
    const block = await loadBlock(ops, model, m);
    full.enter(block);
    quantizedStream.enter(block);
    if (m < count) await quantizeBlock(job, block);
    else await passBlock(job, block);
    const report = await growth(
      ops,
      m,
      job.chunks,
      (c) => full.h(c),
      (c) => quantizedStream.h(c),
    );
    full.leave();
    freeBlock(ops, block);
    blocks.push(report);
    listen({ type: "block", block: report });
  }
  full.end();
  quantizedStream.end();
  job.progress.finish("Done");
  listen({ type: "log", ...summaryOf(reports) });
  if (needsHeldOut(recipe) && !isBase(recipe)) listen({ type: "log", level: "info", message: choiceSummary(recipe, reports) });
  return { blocks, layers: reports, quantized: { layers: job.layers, replaced: job.replaced }, streamMs: job.streamMs };
}

/** How the solves went, for the end of the log: a silent fallback is the complaint that other tools get. */
function summaryOf(layers: readonly LayerReport[]): { level: "info" | "warning"; message: string } {
  const fallen = layers.filter((l) => l.fallback);
  const climbed = layers.filter((l) => !l.fallback && l.retries > 0);
  if (!fallen.length && !climbed.length) return { level: "info", message: `All ${layers.length} layers were quantized as asked.` };
  const names = fallen
    .slice(0, 5)
    .map((l) => l.name)
    .join(", ");
  return {
    level: "warning",
    message: `${climbed.length} of ${layers.length} layers needed more damping, ${fallen.length} fell back${fallen.length ? ` (${names}${fallen.length > 5 ? ", …" : ""})` : ""}.`,
  };
}

/** What the held-out windows chose, in numbers. */
function choiceSummary(recipe: Recipe, layers: readonly LayerReport[]): string {
  const { qep } = recipe;
  const looked = layers.filter((l) => l.heldOut && !settingsOf(recipe, l.name).alphaFixed);
  const none = looked.filter((l) => l.alpha === 0);
  if (qep.choice === "guarded")
    return `The guard set α to 0 in ${none.length} of ${looked.length} layers, where QEP errs more on held-out windows.`;
  const mean = looked.reduce((sum, l) => sum + l.alpha, 0) / Math.max(1, looked.length);
  return `Held-out windows chose α ${mean.toFixed(2)} on average over ${looked.length} layers, 0 in ${none.length} of them.`;
}

/** A block that is not quantized: full-precision weights on both streams. */
async function passBlock(job: BlockJob, block: Block): Promise<void> {
  const { ops, geometry, full, quantized, tokens, heldTokens, progress, signal } = job;
  const work =
    stages.reduce((sum: number, stage: Stage) => sum + forwardWork(geometry.spec, stage, tokens + heldTokens, geometry.length), 0) *
    (job.replay ? 1 : 2);
  for (let c = 0; c < quantized.chunks; c++) {
    quantized.pass(c, block);
    await ops.flush();
    await timed(job, () => full.pass(c, block));
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, `block ${block.index + 1}, not quantized`);
  }
}
