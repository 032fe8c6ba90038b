import { checkPackedRange } from "../export/range";
import type { Block } from "../model/forward";
import { type Stage, stageInputs } from "../model/layers";
import type { Tensor } from "../ops/ops";
import { codeLayer } from "../quant/coded";
import type { InverseFactor } from "../quant/factor";
import { byMethod, stageLayers } from "../quant/layer-plan";
import { correctionSettings, prepareCorrection } from "../quant/qep";
import type { QuantizedLayer, StageLayer, StageResult, StageView } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import type { LayerKind } from "../recipe/recipe";
import { type CorrectedLayer, correctLayers } from "./correct";
import { foldBefore, isFoldable, type UnfinishedBlock } from "./fold";
import { type Insights, insightsOf } from "./insight";
import { type BlockJob, placeName } from "./job";
import { moduleOutput } from "./module";
import { accumulate, freeStatistics, type Inputs, type Statistics } from "./statistics";
import { quantizeWork, stageNeeds } from "./work";

/** A stage after its method: all that is known of its layers before their outputs are computed. */
export interface QuantizedStage {
  /** Ŵ of each layer, on the device. */
  weights: Record<LayerKind, Tensor>;
  layers: readonly CorrectedLayer[];
  results: readonly QuantizedLayer[];
  /** QEP's factor, freed by now: how its damping went. */
  factor: InverseFactor | null;
  insights: Insights;
}

/** Statistics, QEP, then the method; codes go to `made`. A fold has been applied to the quantized stream when this returns. */
export async function quantizeStage(job: BlockJob, block: Block, stage: Stage, made: UnfinishedBlock): Promise<QuantizedStage> {
  const { activations, geometry, load, signal, progress } = job;
  const { ops } = activations;
  const plans = stageLayers(job.plan, block.index, stage);
  const needs = stageNeeds(plans);
  const inputs: Inputs = { chunks: job.chunks, x: (c) => job.full.x(c, stage), xq: (c) => job.quantized.x(c) };
  const statistics = await accumulate(ops, inputs, stageInputs(geometry.spec, stage), load.tokens, needs, signal);
  const correction = needs.corrected ? await prepareCorrection(ops, statistics.H!, statistics.C!, correctionSettings(plans)) : null;
  const layers = await correctLayers(job, block, stage, plans, correction);
  const factor = correction?.factor ?? null;
  if (factor) warnOfDamping(job, block, stage, "QEP's H + λI", factor.tried, factor.U ? null : "α is 0 here");
  const { layers: results, fold } = await quantizeByMethod(job, layers, viewOf(job, block, stage, layers, statistics, factor, inputs));
  const { damping, fallback } = results.find((r) => r.fallback) ?? results.find((r) => r.damping.length) ?? results[0];
  if (damping.length) warnOfDamping(job, block, stage, "the method's H + λI", damping, fallback);
  const insights = await insightsOf(ops, block, layers, statistics, factor, load.tokens);
  const weights = {} as Record<LayerKind, Tensor>;
  for (const [i, result] of results.entries()) weights[stage.kinds[i]] = await takeToHost(job, layers[i], result, made);
  if (fold) await foldBefore(job, block, stage, fold, made);
  ops.free(...layers.flatMap((l) => (l.rest ? [l.weight, l.rest] : [])));
  correction?.free();
  freeStatistics(ops, statistics);
  progress.add(quantizeWork(plans, load), placeName(block, stage));
  return { weights, layers, results, factor, insights };
}

/** The stage in the form that a method receives. */
function viewOf(
  { activations, geometry, load }: BlockJob,
  block: Block,
  stage: Stage,
  layers: readonly StageLayer[],
  { H, C }: Statistics,
  factor: InverseFactor | null,
  { chunks, x }: Inputs,
): StageView {
  return {
    block: block.index,
    layers,
    H,
    C,
    factor,
    tokens: load.tokens,
    length: geometry.length,
    chunks,
    x,
    moduleOutput: (tensor, weights) => moduleOutput(activations.ops, geometry, block, stage, tensor, weights),
    hold: (tensor) => activations.hold(tensor),
    foldable: isFoldable(geometry.spec, stage),
  };
}

/** Gives each method its layers. Only a method that has the whole stage may fold a scale. */
async function quantizeByMethod(
  { activations: { ops }, signal }: BlockJob,
  layers: readonly CorrectedLayer[],
  view: StageView,
): Promise<StageResult> {
  const results = new Map<string, QuantizedLayer>();
  let fold: Float64Array | null = null;
  for (const [method, mine] of byMethod(layers.map((layer) => ({ ...layer, method: layer.plan.method })))) {
    const outcome = await quantizers[method].quantize({ ...view, layers: mine }, mine[0].plan.options, ops, signal);
    for (const [i, layer] of mine.entries()) results.set(layer.name, outcome.layers[i]);
    fold ??= outcome.fold;
  }
  return { layers: layers.map((layer) => results.get(layer.name)!), fold };
}

/** One warning for each solve that took more than the recipe's own damping. `instead`: what was done because none held, or null. */
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
  const message = `${placeName(block, stage)}: ${what} was not positive definite; damping tried: ${tried.join(", ")}; ${end}.`;
  emit({ type: "log", level: "warning", message });
}

/** Takes a layer to the host and leaves Ŵ on the device. */
async function takeToHost(
  { activations: { ops }, plan }: BlockJob,
  { name, grid }: StageLayer,
  result: QuantizedLayer,
  made: UnfinishedBlock,
): Promise<Tensor> {
  const coded = await codeLayer(ops, name, result, grid);
  // Checked now, so that the export cannot fail on it after hours of work.
  checkPackedRange(coded, plan.recipe);
  made.layers.set(name, coded);
  if (!("codes" in result)) return result.weight;
  const W = ops.decode(result.codes, result.grid);
  ops.free(result.codes, result.grid.scales, result.grid.zeros);
  return W;
}
