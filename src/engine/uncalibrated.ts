import { throwIfCancelled } from "../errors";
import { formats } from "../export/entries";
import { checkCopies, madeBeyondF16 } from "../export/range";
import { watched } from "../io/digest";
import { type Checkpoint, census, loadTensor } from "../model/checkpoint";
import type { Activations } from "../ops/activations";
import { elements, type Ops } from "../ops/ops";
import { type Coded, codeLayer } from "../quant/coded";
import type { LayerPlan, RunPlan } from "../quant/layer-plan";
import { roundToNearest } from "../quant/rtn";
import { recipeTitle } from "../recipe/recipe";
import type { LayerReport, RunReport } from "../results/report";
import { squaredErrors } from "./growth";
import { bitsPerWeight, exportBytes, type UnroomedPlan } from "./plan";
import { type Emit, Progress } from "./progress";
import { reportOf } from "./run";
import type { RunStore } from "./run-store";

/** What rounding holds on the device at once: W, its codes, Ŵ. */
const copies = 3;

export interface UncalibratedInput {
  activations: Activations;
  checkpoint: Checkpoint;
  plan: RunPlan;
  store: RunStore;
  emit: Emit;
  signal?: AbortSignal;
}

/**
 * Rounds a checkpoint of an unknown architecture to nearest, layer by layer. Without a forward pass nothing is calibrated, so a layer's error is that of
 * its weights, ‖W − Ŵ‖² / ‖W‖². Blocks are committed to the store as in a calibrated run. @throws QuantError `cancelled` between two layers.
 */
export async function runUncalibrated(input: UncalibratedInput): Promise<RunReport> {
  const { activations, checkpoint, plan, store, emit, signal } = input;
  activations.ops.resetPeak();
  const progress = new Progress(sizeOf(plan.layers), emit);
  emit({ type: "start", blocks: plan.blocks, quantizedBlocks: plan.quantizedBlocks });
  emit({
    type: "log",
    level: "warning",
    message: `${recipeTitle(plan.recipe)}: nothing is calibrated. A layer's error is that of its weights.`,
  });
  await checkCopies(checkpoint, plan, signal);
  for (const layer of store.reports.flatMap((report) => report.layers)) emit({ type: "layer", layer });
  await activations.job(async () => {
    for (let m = 0; m < plan.blocks; m++) {
      const layers = plan.layers.filter(({ block }) => block === m);
      if (m >= store.committed) await roundBlock(input, m, layers, progress);
      else progress.add(sizeOf(layers), `block ${m + 1}, done before`);
    }
  });
  progress.finish("Done");
  return reportOf(store, activations.ops.peakBytes);
}

async function roundBlock(
  { activations, checkpoint, store, emit, signal }: UncalibratedInput,
  index: number,
  plans: readonly LayerPlan[],
  progress: Progress,
): Promise<void> {
  const started = performance.now();
  const { shards, digest } = watched(checkpoint.shards);
  const made: { coded: Coded; report: LayerReport }[] = [];
  for (const plan of plans) {
    throwIfCancelled(signal);
    const rounded = await roundLayer(activations.ops, { shards }, plan);
    made.push(rounded);
    emit({ type: "layer", layer: rounded.report });
    progress.add(elements(plan.shape), plan.name);
  }
  const layers = made.map(({ coded }) => coded);
  const report = { block: null, layers: made.map((m) => m.report), ms: performance.now() - started, streamMs: 0 };
  const outcome = { index, layers, replaced: new Map(), beyondF16: madeBeyondF16(layers, new Map()), report };
  const inputs = index === 0 ? [null, await digest()] : [await digest()];
  await store.put(outcome, null, inputs, activations);
  emit({ type: "commit", done: store.committed });
}

async function roundLayer(
  ops: Ops,
  checkpoint: Pick<Checkpoint, "shards">,
  { name, kind, block, grid: spec }: LayerPlan,
): Promise<{ coded: Coded; report: LayerReport }> {
  const started = performance.now();
  const W = await loadTensor(ops, checkpoint, `${name}.weight`);
  const { codes, grid } = roundToNearest(W, spec, ops);
  const rounded = ops.decode(codes, grid);
  const [{ difference, reference }] = await squaredErrors(ops, [[ops.squaredDifference(W, rounded)]]);
  const coded = await codeLayer(ops, name, { codes, grid, damping: [], fallback: null }, spec);
  ops.free(W, codes, grid.scales, grid.zeros, rounded);
  const report: LayerReport = {
    name,
    kind,
    block,
    method: "rtn",
    bits: spec.bits,
    alpha: 0,
    relativeError: reference > 0 ? difference / reference : 0,
    damping: [],
    retries: 0,
    curve: null,
    heldOut: null,
    outliers: [],
    fallback: null,
    ms: performance.now() - started,
  };
  return { coded, report };
}

/** What a run of `runUncalibrated` would take. @throws QuantError `bad-format`. */
export async function planUncalibrated(ops: Ops, checkpoint: Checkpoint, plan: RunPlan): Promise<UnroomedPlan> {
  const { recipe, layers } = plan;
  return {
    bytesIn: census(checkpoint).bytes,
    bytesOut: await exportBytes(checkpoint, plan),
    bitsPerWeight: bitsPerWeight(plan),
    quantizedWeights: sizeOf(layers),
    tokens: 0,
    windows: 0,
    heldOutWindows: 0,
    peakGpuBytes: 4 * copies * layers.reduce((most, l) => Math.max(most, elements(l.shape)), 0),
    seconds: (sizeOf(layers) * (await msPerWeight(ops))) / 1000,
    streamKept: false,
    warnings: [],
    notes: formats[recipe.format].notes(recipe, checkpoint),
  };
}

/** Milliseconds per weight, measured on the second rounding of a small matrix: the first compiles kernels. */
async function msPerWeight(ops: Ops): Promise<number> {
  const side = 256;
  const W = ops.zeros([side, side]);
  const once = async () => {
    const started = performance.now();
    const { codes, grid } = roundToNearest(W, { bits: 4, groupSize: -1, symmetric: false }, ops);
    await ops.read([grid.scales]);
    ops.free(codes, grid.scales, grid.zeros);
    return performance.now() - started;
  };
  await once();
  const ms = await once();
  ops.free(W);
  return ms / side ** 2;
}

const sizeOf = (layers: readonly { readonly shape: readonly number[] }[]): number =>
  layers.reduce((sum, { shape }) => sum + elements(shape), 0);
