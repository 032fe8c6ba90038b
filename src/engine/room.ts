import type { Calibration } from "../model/calibration";
import type { Checkpoint } from "../model/checkpoint";
import { stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { type ActivationBudget, defaultBudget } from "../ops/activations";
import { gridKinds, isSuper, superSize } from "../ops/grid-kinds";
import { groupsOf, type LayerPlan, type RunPlan } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { PlanSummary } from "../results/plan";
import { bytesAhead } from "./blocks";
import { recordingBytes } from "./memory";
import { fitsRecording } from "./plan";
import type { Platform } from "./platform";

/** A run that is about to start, or to go on after some blocks. */
export interface PlannedRun {
  model: Checkpoint;
  plan: RunPlan;
  calibration: Calibration | null;
  /** Blocks that are kept already. */
  committed?: number;
  /** The run's own, where its memory is limited. */
  budget?: ActivationBudget;
}

const tokensOf = ({ tokens, heldOut }: Calibration): number => tokens.ids.length + (heldOut?.ids.length ?? 0);

/** Bytes of a layer as a run keeps it: codes with f32 scales and zeros of a byte or f32, or f16 weights. */
function layerBytes({ shape, method, grid }: LayerPlan): number {
  return quantizers[method].packable ? packedBytes(shape, grid) : 2 * shape[0] * shape[1];
}

function packedBytes(shape: readonly [number, number], grid: LayerPlan["grid"]): number {
  const [out, n] = shape;
  // Of super-blocks two small integers a group, and two factors for all of them.
  const perGroup = isSuper(grid.kind) ? 2 + 8 * (grid.groupSize / superSize) : 4 + (gridKinds[grid.kind].zeros === "real" ? 4 : 1);
  return out * (4 * Math.ceil((n * grid.bits) / 32) + groupsOf(shape, grid) * perGroup);
}

/** The most bytes of blocks and residual streams that a run still has to keep. The streams after a block are there before those before it are removed. */
export function keptBytes({ model, plan, calibration, committed = 0 }: PlannedRun): number {
  const layers = plan.layers.filter(({ block }) => block >= committed).reduce((sum, layer) => sum + layerBytes(layer), 0);
  const streams = calibration && model.spec ? 2 * 4 * tokensOf(calibration) * model.spec.hidden : 0;
  const tables = plan.tables.reduce((sum, { shape, grid }) => sum + packedBytes(shape, grid), 0);
  return layers + tables + 2 * streams;
}

/** Bytes of activations: of both streams with what a method holds beside them, and of a recording. */
function activationBytes(
  spec: ModelSpec,
  plan: RunPlan,
  calibration: Calibration,
  records: boolean,
): { streams: number; recording: number } {
  const tokens = tokensOf(calibration);
  const widest = Math.max(...stages.map((stage) => stageInputs(spec, stage)));
  const outputs = plan.layers.some(({ method }) => quantizers[method].holdsOutputs) ? spec.hidden : 0;
  return {
    streams: 4 * tokens * (2 * (widest + spec.hidden) + spec.hidden + outputs),
    recording: records && fitsRecording(spec, calibration) ? recordingBytes(spec, tokens) : 0,
  };
}

/** Where a run's data lies besides the device, at most: bytes of main memory, and of the place where the run is kept. */
export function roomOf(
  run: PlannedRun,
  { budget: given = defaultBudget, runsAgain }: Pick<Platform, "budget" | "runsAgain">,
): Pick<PlanSummary, "peakHostBytes" | "scratchBytes"> {
  const { model, plan, calibration, budget = given } = run;
  const working = readingBytes(model) + codedBytes(plan) + tableBytes(plan);
  if (!calibration || !model.spec) return { peakHostBytes: working, scratchBytes: keptBytes(run) };
  const { streams, recording } = activationBytes(model.spec, plan, calibration, runsAgain);
  const beside = Math.max(0, streams - budget.device);
  const spilled = Math.max(0, beside - budget.host) + Math.max(0, recording - budget.kept);
  return { peakHostBytes: working + Math.min(beside, budget.host), scratchBytes: keptBytes(run) + spilled };
}

/** Bytes of a checkpoint's tensors that are read at once: the one in use, and those that are read ahead. */
function readingBytes(checkpoint: Checkpoint): number {
  const { layers, shards, spec } = checkpoint;
  const sizes = layers.map(({ name }) => shards.tensors.get(`${name}.weight`)).map((t) => (t ? t.end - t.start : 0));
  const most = sizes.reduce((a, b) => Math.max(a, b), 0);
  return spec ? most + Math.max(most, bytesAhead({ ...checkpoint, spec })) : most;
}

/** Bytes of the codes of the largest block, which are kept together. */
function codedBytes({ layers, quantizedBlocks }: RunPlan): number {
  const blocks = new Float64Array(quantizedBlocks);
  for (const layer of layers) blocks[layer.block] += layerBytes(layer);
  return Math.max(...blocks);
}

/** Bytes of the largest table while it is there whole: its codes, and S and M of every group in f32. */
const tableBytes = ({ tables }: RunPlan): number =>
  tables.reduce((most, { shape, grid }) => Math.max(most, packedBytes(shape, grid) + 8 * shape[0] * groupsOf(shape, grid)), 0);
