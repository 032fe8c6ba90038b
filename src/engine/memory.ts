import { layerShape, type Stage, stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { type ActivationBudget, defaultBudget } from "../ops/activations";
import { isSearched } from "../ops/grid-kinds";
import { groupsOf, type LayerPlan, type RunPlan, stageLayers } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { LayerKind } from "../recipe/recipe";
import { byOutputs } from "./drift";
import { crossesEarly, factorsWanted, stageNeeds, unitsOf, weightsFor } from "./needs";

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const size = ([out, n]: readonly [number, number]) => out * n;
const rows = (spec: ModelSpec, stage: Stage) => stage.kinds.map((kind) => layerShape(spec, kind)[0]);
const weights = (spec: ModelSpec, kinds: readonly LayerKind[]) => sum(kinds.map((kind) => size(layerShape(spec, kind))));

/** Elements that a recording holds per token and stage: its input and its layers' outputs. */
const recordedAt = (spec: ModelSpec, stage: Stage) => stageInputs(spec, stage) + sum(rows(spec, stage));

/** Bytes of a recording: every stage's input and outputs, every block's residual stream and the embeddings. */
export function recordingBytes(spec: ModelSpec, tokens: number): number {
  const perBlock = sum(stages.map((stage) => recordedAt(spec, stage))) + spec.hidden;
  return 4 * tokens * (spec.blocks * perBlock + spec.hidden);
}

/** What a stage of a block takes on the device, in bytes. */
export interface StagePeak {
  block: number;
  stage: Stage;
  /** Weights, statistics and all that is made of them, in the largest of the stage's phases. */
  working: number;
  /** Activations of all chunks; as many of them as the budget allows stay on the device. */
  activations: number;
  /** Those that must be there at once: a chunk's in both streams. */
  chunk: number;
}

/**
 * What each stage takes, in f32, in a block that recordings reach last. Blocks that are planned alike count once. Follows block.ts.
 * @param tokens of both streams, held-out ones included. @param chunk tokens of the largest chunk.
 */
export function stagePeaks(
  spec: ModelSpec,
  plan: RunPlan,
  tokens: number,
  chunk: number,
  recorded: boolean,
  budget: ActivationBudget = defaultBudget,
): StagePeak[] {
  // Without rules, all blocks are alike.
  const blocks = plan.recipe.rules.length ? Array.from({ length: plan.quantizedBlocks }, (_, m) => m) : [0];
  return blocks.flatMap((block) =>
    stages.map((stage, s) => {
      const n = stageInputs(spec, stage);
      // A quantized (and an unrecorded full-precision) stream holds its input and its residual, which is new after block 0.
      const stream = tokens * (n + spec.hidden);
      const later = sum(stages.slice(s + 1).map((next) => recordedAt(spec, next))) + spec.hidden;
      const midway = stage.id === "gate_up" || stage.id === "down" ? spec.hidden : 0;
      const full = recorded
        ? Math.min(recordingBytes(spec, tokens), budget.kept) / 4 + tokens * (midway - later)
        : stream + tokens * spec.hidden;
      const working = stageWork(spec, stageLayers(plan, block, stage), stage, { tokens, chunk, recorded, holdsOut: plan.holdsOut });
      return { block, stage, working: 4 * working, activations: 4 * (stream + full), chunk: 8 * chunk * (n + spec.hidden) };
    }),
  );
}

/** Peak bytes of a run on the device: the largest of its stages' working sets, with such activations as the budget lets stay. */
export function peakBytes(
  spec: ModelSpec,
  plan: RunPlan,
  tokens: number,
  chunk: number,
  recorded: boolean,
  budget: ActivationBudget = defaultBudget,
): number {
  const peaks = stagePeaks(spec, plan, tokens, chunk, recorded, budget);
  // What finds no room in the budget leaves the device, except the chunk that is in use.
  return Math.max(...peaks.map((peak) => peak.working + Math.min(peak.activations, budget.device + peak.chunk / 2)));
}

/** What the sizes of a stage's phases depend on besides its layers. */
interface StageJob {
  tokens: number;
  /** Tokens of the largest chunk. */
  chunk: number;
  recorded: boolean;
  holdsOut: boolean;
}

/** Elements of the largest phase of one stage: its weights and all that is made of them. */
function stageWork(spec: ModelSpec, layers: readonly LayerPlan[], stage: Stage, job: StageJob): number {
  const { chunk, recorded } = job;
  const all = weights(spec, stage.kinds);
  // Recorded outputs of the full-precision stream are in the recording already.
  const propagating = all + chunk * ((recorded ? 1 : 2) * sum(rows(spec, stage)) + nextWidth(spec, stage));
  const phases = layers.length ? quantizing(layers, job) : [];
  return weights(spec, weightsFor(layers, stage)) + Math.max(propagating, ...phases);
}

/** Elements of each phase of quantizing a stage, beside its weights. */
function quantizing(layers: readonly LayerPlan[], job: StageJob): number[] {
  const n = layers[0].shape[1];
  const square = n * n;
  const all = sum(layers.map(({ shape }) => size(shape)));
  const largest = Math.max(...layers.map(({ shape }) => size(shape)));
  const needs = stageNeeds(layers);
  const [H, C] = [needs.H ? square : 0, needs.C ? square : 0];
  const statistics = H + C + (needs.C ? drifting(layers, job) : 0);
  const early = crossesEarly(layers);
  const crossing = early ? H + C + all + largest : 0;
  // C itself, or what was made of it.
  const from = (early ? all : 0) + (early && !needs.keepsC ? 0 : C);
  const factors = factorsWanted(layers).length;
  const isSpare = !needs.keepsH && factors > 0;
  const factoring = factors ? from + (factors - 1) * square + Math.max(H + square, 2 * square + (isSpare ? 0 : H)) : 0;
  const held = from + factors * square + (isSpare ? 0 : H);
  return [statistics, crossing, factoring, ...unitPhases(layers, held, job)];
}

/** While the inputs' drift is summed up: a chunk's differences, with their outputs or a matrix like H; then the largest layer's product with that. */
function drifting(layers: readonly LayerPlan[], { tokens, chunk }: StageJob): number {
  const n = layers[0].shape[1];
  const out = layers.map(({ shape }) => shape[0]);
  if (byOutputs(sum(out), n, tokens)) return chunk * (n + Math.max(...out));
  return n * n + Math.max(chunk * n, Math.max(...out) * n);
}

/** The portions of a stage, one after the other: correcting, rounding, and taking codes to the host while Ŵ of those before stays. */
function unitPhases(layers: readonly LayerPlan[], held: number, { chunk, holdsOut }: StageJob): number[] {
  const isCorrected = stageNeeds(layers).corrected;
  const phases: number[] = [];
  let done = 0;
  for (const unit of unitsOf(layers)) {
    const n = unit[0].shape[1];
    const out = unit.map(({ shape }) => shape[0]);
    const [most, together] = [Math.max(...out) * n, sum(out) * n];
    // W* and rest of each layer; the last one is made of W·C, its copy in the factor's order, and two products, or of W, D and what becomes of them.
    const corrected = isCorrected ? 2 * together : 0;
    const choosing = holdsOut ? Math.max(0, chunk * (n + 2 * Math.max(...out)) - 2 * most) : 0;
    if (isCorrected) phases.push(held + done + corrected + 2 * most + choosing);
    const { elements } = quantizers[unit[0].method].cost(out, n, chunk);
    // As each layer is taken to the host, its Ŵ takes the place of its codes.
    phases.push(held + done + corrected + sum(unit.map(gridElements)) + Math.max(elements, together + most));
    done += together;
  }
  return phases;
}

/** Elements of a layer's grid: S and M of each group; while one is searched for, a fit of four numbers beside them. */
const gridElements = ({ shape, grid }: LayerPlan): number => shape[0] * groupsOf(shape, grid) * (isSearched(grid.kind) ? 6 : 2);

/** Columns of what a stage's `advance` makes besides the outputs: rotated q and k and the mixed heads, or the next input. */
function nextWidth(spec: ModelSpec, stage: Stage): number {
  if (stage.id === "qkv") return (2 * spec.heads + spec.kvHeads) * spec.headDim;
  return stage.id === "gate_up" ? spec.intermediate : 2 * spec.hidden;
}
