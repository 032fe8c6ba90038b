import { checkPackedRange } from "../export/range";
import type { Block } from "../model/block";
import type { Stage } from "../model/layers";
import { type Tensor, tensorsOf } from "../ops/ops";
import { codeLayer } from "../quant/coded";
import { type InverseFactor, sameSettings, settled } from "../quant/factor";
import { type LayerPlan, stageLayers } from "../quant/layer-plan";
import type { QuantizedLayer, StageLayer, StageView } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import type { LayerKind } from "../recipe/recipe";
import { type CorrectedLayer, correctLayer } from "./correct";
import { foldBefore, isFoldable, type UnfinishedBlock } from "./fold";
import { type Insights, insightsOf } from "./insight";
import { type BlockJob, placeName } from "./job";
import { moduleOutput } from "./module";
import { unitsOf } from "./needs";
import { freePrepared, type PreparedStage, prepareStage } from "./prepare";
import { quantizeWork } from "./work";

/** A layer of a stage after its method: all that is known of it before its outputs are computed. */
export interface FinishedLayer extends Omit<CorrectedLayer, "weight" | "rest"> {
  solve: Pick<QuantizedLayer, "damping" | "fallback">;
  /** Ŵ, on the device. */
  quantized: Tensor;
}

/** A stage after its method. */
export interface QuantizedStage {
  /** Ŵ of each layer, on the device. */
  weights: Record<LayerKind, Tensor>;
  layers: readonly FinishedLayer[];
  /** QEP's factor, freed by now: how its damping went. */
  factor: InverseFactor | null;
  insights: Insights;
}

/**
 * Statistics and factors, then for each layer, or for all that a method takes together: QEP, the method, codes to the host. So one layer's W* is on the device
 * at a time. A fold has been applied to the quantized stream when this returns.
 */
export async function quantizeStage(job: BlockJob, block: Block, stage: Stage, made: UnfinishedBlock): Promise<QuantizedStage> {
  const { activations, load, progress } = job;
  const { ops } = activations;
  const plans = stageLayers(job.plan, block.index, stage);
  const prepared = await prepareStage(job, block, stage, plans);
  const factor = prepared.correction?.factor ?? null;
  if (factor) warnOfDamping(job, block, stage, "QEP's H + λI", factor.tried, factor.U ? null : "α is 0 here");
  const finished = new Map<string, FinishedLayer>();
  let fold: Float64Array | null = null;
  for (const unit of unitsOf(plans)) {
    const done = await quantizeUnit(job, block, stage, unit, prepared, made);
    for (const layer of done.layers) finished.set(layer.kind, layer);
    fold ??= done.fold;
  }
  const layers = plans.map(({ kind }) => finished.get(kind)!);
  const { damping, fallback } = (layers.find((l) => l.solve.fallback) ?? layers.find((l) => l.solve.damping.length) ?? layers[0]).solve;
  const isTold = damping === factor?.tried && !fallback;
  if (damping.length && !isTold) warnOfDamping(job, block, stage, "the method's H + λI", damping, fallback);
  if (fold) await foldBefore(job, block, stage, fold, made);
  const insights = await insightsOf(ops, layers, prepared, load.tokens);
  freePrepared(job, prepared);
  progress.add(quantizeWork(plans, load), placeName(block, stage));
  const weights = Object.fromEntries(layers.map(({ kind, quantized }) => [kind, quantized])) as Record<LayerKind, Tensor>;
  return { weights, layers, factor, insights };
}

/** Layers that their method takes together. */
async function quantizeUnit(
  job: BlockJob,
  block: Block,
  stage: Stage,
  unit: readonly LayerPlan[],
  prepared: PreparedStage,
  made: UnfinishedBlock,
): Promise<{ layers: FinishedLayer[]; fold: Float64Array | null }> {
  const { activations, signal } = job;
  const { ops } = activations;
  const corrected: CorrectedLayer[] = [];
  for (const plan of unit) corrected.push(await correctLayer(job, block, stage, plan, prepared.correction));
  const [{ method, options }] = unit;
  const outcome = await quantizers[method].quantize(viewOf(job, block, stage, corrected, prepared), options, ops, signal);
  const layers: FinishedLayer[] = [];
  for (const [i, { weight, rest, ...layer }] of corrected.entries()) {
    const { damping, fallback } = outcome.layers[i];
    const quantized = await takeToHost(job, layer, outcome.layers[i], made);
    layers.push({ ...layer, solve: { damping, fallback }, quantized });
    if (rest) ops.free(weight, rest);
  }
  return { layers, fold: outcome.fold };
}

/** The stage in the form that a method receives. */
function viewOf(
  { activations, geometry, load }: BlockJob,
  block: Block,
  stage: Stage,
  layers: readonly CorrectedLayer[],
  { statistics: { H, C }, diagonal, factors, inputs }: PreparedStage,
): StageView {
  const [{ plan }] = layers;
  const wanted = quantizers[plan.method].factor?.(plan.options);
  const settings = wanted && settled(wanted, plan.shape[1], load.tokens);
  return {
    block: block.index,
    layers,
    H,
    C,
    diagonal,
    factor: factors.find((made) => settings && sameSettings(made.settings, settings)) ?? null,
    tokens: load.tokens,
    length: geometry.length,
    chunks: inputs.chunks,
    x: inputs.x,
    moduleOutput: (tensor, weights) => moduleOutput(activations.ops, geometry, block, stage, tensor, weights),
    hold: (tensor) => activations.hold(tensor),
    foldable: isFoldable(geometry.spec, stage),
  };
}

/** One warning for each solve that took more than the damping it began with. `instead`: what was done because none held, or null. */
function warnOfDamping(
  { emit }: BlockJob,
  block: Block,
  stage: Stage,
  what: string,
  tried: readonly number[],
  instead: string | null,
): void {
  if (tried.length <= 1 && !instead) return;
  const end = instead ? `none holds: ${instead}` : "the last one holds";
  const message = `${placeName(block, stage)}: ${what} was not positive definite; damping tried: ${tried.map((d) => Number(d.toPrecision(3))).join(", ")}; ${end}.`;
  emit({ type: "log", level: "warning", message });
}

/** Takes a layer to the host and leaves Ŵ on the device. */
async function takeToHost(
  { activations: { ops }, plan }: BlockJob,
  { name, grid }: Pick<StageLayer, "name" | "grid">,
  result: QuantizedLayer,
  made: UnfinishedBlock,
): Promise<Tensor> {
  const coded = await codeLayer(ops, name, result, grid);
  // Checked now, so that the export cannot fail on it after hours of work.
  checkPackedRange(coded, plan.recipe);
  made.layers.set(name, coded);
  if (!("codes" in result)) return result.weight;
  const W = ops.decode(result.codes, result.grid);
  ops.free(result.codes, ...tensorsOf(result.grid));
  return W;
}
