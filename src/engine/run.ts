import { version } from "../../package.json";
import { throwIfCancelled } from "../errors";
import type { TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { type Block, createGeometry, freeBlock, loadBlock } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import type { Ops, Scope, Tensor } from "../ops/ops";
import type { QuantizedModel } from "../quant/stored";
import { isBase, type Recipe, recipeTitle } from "../recipe/recipe";
import type { BlockReport, LayerReport, RunReport } from "../worker/protocol";
import { quantizeBlock } from "./block";
import { embedChunks } from "./chunks";
import { growth } from "./growth";
import { type BlockJob, timed } from "./job";
import { checkRecipe } from "./plan";
import { type Emit, Progress } from "./progress";
import { FullPrecision, type Recording, Stream } from "./stream";
import { forwardWork, quantizedBlocks, runWork } from "./work";

export interface RunInput {
  ops: Ops;
  model: Model;
  tokens: TokenWindows;
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
    const start = recording?.start ?? (await embedChunks(ops, model, input.tokens)).map((chunk) => chunk.h);
    const { quantized, ...told } = await runBlocks(input, start, scope);
    const ms = performance.now() - started;
    const report = { version, recipe, adapter: ops.adapter.description, ...told, ms, peakGpuBytes: ops.peakBytes };
    return { report, quantized };
  } finally {
    scope.end();
  }
}

async function runBlocks(input: RunInput, start: readonly Tensor[], scope: Scope) {
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
    tokens: tokens.ids.length,
    full,
    quantized: quantizedStream,
    replay: kept,
    progress: new Progress(runWork(spec, recipe, tokens.ids.length, tokens.length, kept), listen),
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
    message: `${recipeTitle(recipe)}: ${tokens.windows} windows of ${tokens.length} tokens${isBase(recipe) ? "" : `, damping ${recipe.qep.damp}`}.`,
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
      start.length,
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

/** A block that is not quantized: full-precision weights on both streams. */
async function passBlock(job: BlockJob, block: Block): Promise<void> {
  const { ops, geometry, full, quantized, tokens, progress, signal } = job;
  const work =
    stages.reduce((sum: number, stage: Stage) => sum + forwardWork(geometry.spec, stage, tokens, geometry.length), 0) *
    (job.replay ? 1 : 2);
  for (let c = 0; c < quantized.chunks; c++) {
    quantized.pass(c, block);
    await ops.flush();
    await timed(job, () => full.pass(c, block));
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, `block ${block.index + 1}, not quantized`);
  }
}
