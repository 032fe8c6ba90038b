import { version } from "../../package.json";
import { QuantError } from "../errors";
import { checkCopies } from "../export/range";
import { watched } from "../io/digest";
import type { Calibration } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { createGeometry } from "../model/forward";
import { stages } from "../model/layers";
import type { Activation, Activations } from "../ops/activations";
import { type RunPlan, stageLayers } from "../quant/layer-plan";
import type { RunReport } from "../results/report";
import { runBlock } from "./block";
import { blocksOf, readingBlocksAhead } from "./blocks";
import { chunkCount, embedChunks, runChunks } from "./chunks";
import { FullPrecision, type Recording } from "./full-precision";
import type { BlockJob } from "./job";
import type { BlockOutcome, Residuals } from "./outcome";
import { type Emit, Progress } from "./progress";
import type { RunStore } from "./run-store";
import { Stream } from "./stream";
import { startMessage, summaryOf } from "./summary";
import { embedFrom, RoundedTables } from "./tables";
import { blockWork, loadOf, quantizeWork, runWork } from "./work";

export interface RunInput {
  activations: Activations;
  model: Model;
  plan: RunPlan;
  calibration: Calibration;
  /** Where outcomes go, block by block. If it already holds the run's first blocks, the run goes on after them. */
  store: RunStore;
  emit: Emit;
  signal?: AbortSignal;
  /** Windows of a chunk. */
  perChunk: number;
  /** Where the full-precision stream is kept for the next run over the same tokens; reused as far as it reaches, then continued. Owned by the caller. */
  recording?: Recording | null;
}

/**
 * Quantizes a model block by block, commits each to the store, and follows Δ_m through all of them. Everything allocated on the device is freed at
 * the end, whether the run succeeds or fails, except a recording.
 * @throws QuantError; `cancelled` within one chunk of work of the signal.
 */
export async function run(input: RunInput): Promise<RunReport> {
  const { activations, model, plan, calibration, store, emit, signal } = input;
  if (plan.holdsOut && !calibration.heldOut) throw new QuantError("internal", "no windows were held out");
  activations.ops.resetPeak();
  const progress = new Progress(runWork(model.spec, plan, loadOf(calibration), isReplay(input)), emit);
  progress.add(0, "checking the weights that stay as they are");
  await checkCopies(model, plan, signal);
  await activations.job(() => runFrom(input, progress));
  return reportOf(store, activations.ops.peakBytes);
}

/** Whether the full-precision stream is read from a recording. */
const isReplay = ({ recording, plan }: RunInput): boolean => recording?.residuals.length === plan.blocks;

async function runFrom(input: RunInput, progress: Progress): Promise<void> {
  const { model, plan, calibration, store, activations, emit, recording = null } = input;
  const from = store.committed;
  const replay = isReplay(input);
  emit({ type: "start", blocks: plan.blocks, quantizedBlocks: plan.quantizedBlocks });
  emit({ type: "log", level: "info", message: startMessage(plan, calibration, from) });
  for (const [m, { block, layers }] of store.reports.entries()) {
    for (const layer of layers) emit({ type: "layer", layer });
    if (block) emit({ type: "block", block });
    progress.add(blockShare(input, m, replay), `block ${m + 1}, done before`);
  }
  if (!store.isComplete) {
    const { shards, digest } = watched(readingBlocksAhead(model, from));
    const tables = new RoundedTables(input, (where) => progress.add(0, where));
    const start = await startFor({ ...input, model: { ...model, shards } }, tables);
    const embeddings = (await digest()) ?? recording?.embeddings ?? null;
    for await (const { outcome: block, residuals } of runBlocks({ ...input, model: { ...model, shards } }, start, progress, replay)) {
      const outcome = await tables.joined(block);
      const inputs = outcome.index === 0 ? [embeddings, await digest()] : [await digest()];
      await store.put(outcome, outcome.index + 1 < plan.blocks ? residuals : null, inputs, activations);
      if (outcome.report.block) emit({ type: "block", block: outcome.report.block });
      emit({ type: "commit", done: store.committed });
    }
  }
  progress.finish("Done");
  for (const message of summaryOf(
    plan,
    store.reports.flatMap((r) => r.layers),
  ))
    emit({ type: "log", ...message });
}

/** One block's share of a run's work. */
function blockShare({ model, plan, calibration }: RunInput, m: number, replay: boolean): number {
  const load = loadOf(calibration);
  const forward = blockWork(model.spec, load.tokens + load.heldTokens, load.length) * (replay ? 1 : 2);
  if (m >= plan.quantizedBlocks) return forward;
  return forward + stages.reduce((sum, stage) => sum + quantizeWork(stageLayers(plan, m, stage), load), 0);
}

/** The outcomes of the blocks that are not committed yet, each with both residual streams after it. */
async function* runBlocks(
  input: RunInput,
  { start, recording }: Start,
  progress: Progress,
  replay: boolean,
): AsyncGenerator<{ outcome: BlockOutcome; residuals: Residuals }> {
  const { activations, model, plan, calibration, store, emit, signal } = input;
  const { ops } = activations;
  const geometry = createGeometry(ops, model.spec, calibration.tokens.length);
  const full = new FullPrecision(activations, start.full, geometry, recording);
  const quantized = new Stream(
    activations,
    start.quantized.map((h) => ({ h, geometry })),
  );
  const chunks = chunkCount(calibration.tokens, input.perChunk);
  const job: BlockJob = {
    activations,
    geometry,
    plan,
    load: loadOf(calibration),
    chunks,
    full,
    quantized,
    replay,
    progress,
    emit,
    signal,
    streamMs: 0,
  };
  const all = <T>(of: (c: number) => T): T[] => Array.from({ length: quantized.chunks }, (_, c) => of(c));
  for await (const block of blocksOf(ops, model, store.committed)) {
    const outcome = await runBlock(job, block);
    yield { outcome, residuals: { full: all((c) => full.h(c)), quantized: all((c) => quantized.h(c)) } };
  }
  full.end();
  quantized.end();
}

interface Start {
  start: Residuals;
  recording: Recording | null;
}

/** Both streams before the first block that is not committed. A recording that does not reach that block cannot be continued. */
async function startFor(
  { activations, model, calibration, store, perChunk, recording = null, signal }: RunInput,
  tables: RoundedTables,
): Promise<Start> {
  const kept = await store.residuals(activations);
  if (kept) return { start: kept, recording: recording && recording.residuals.length >= store.committed ? recording : null };
  const chunks = runChunks(calibration, perChunk);
  const h: readonly Activation[] = recording?.start ?? (await embedChunks(activations, model, chunks, signal));
  const embeddings = await tables.embeddings();
  return { start: { full: h, quantized: embeddings ? await embedFrom(activations, embeddings, chunks, signal) : h }, recording };
}

/** The report of a run, complete or interrupted, from what is committed. */
export function reportOf({ identity, reports, adapters }: RunStore, peakGpuBytes: number): RunReport {
  const sum = (of: (r: (typeof reports)[number]) => number) => reports.reduce((total, r) => total + of(r), 0);
  return {
    version,
    recipe: identity.recipe,
    adapter: adapters.join(", then "),
    blocks: reports.flatMap(({ block }) => block ?? []),
    layers: reports.flatMap(({ layers }) => layers),
    ms: sum((r) => r.ms),
    streamMs: sum((r) => r.streamMs),
    peakGpuBytes,
  };
}
