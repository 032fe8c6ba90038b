import { checkPackedRange } from "../export/range";
import type { Block } from "../model/forward";
import { type Stage, stageInputs } from "../model/layers";
import type { Tensor } from "../ops/ops";
import { type Correction, prepareCorrection } from "../quant/qep";
import type { QuantizedLayer, StageLayer, StageResult, StageView } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import { store } from "../quant/stored";
import type { LayerKind } from "../recipe/recipe";
import { settingsOf } from "../recipe/rules";
import type { LayerReport } from "../results/report";
import { type CorrectedLayer, correctLayers } from "./correct";
import { foldBefore, isFoldable } from "./fold";
import { type Insights, insightsOf } from "./insight";
import { type BlockJob, place } from "./job";
import { moduleOutput } from "./module";
import { accumulate, freeStatistics, type Inputs } from "./statistics";
import { byMethod, quantizeWork, stageNeeds } from "./work";

/** A stage after its method: Ŵ of each layer on the device, and what is told of it but for its error, which the outputs tell. */
export interface StageOutcome {
  weights: Record<LayerKind, Tensor>;
  reports: LayerReport[];
}

/** Statistics, QEP, then the method; codes go to the host. A fold has been applied to the quantized stream when this returns. */
export async function quantizeStage(job: BlockJob, block: Block, stage: Stage): Promise<StageOutcome> {
  const { ops, geometry, recipe, tokens, signal, progress } = job;
  const { spec } = geometry;
  const needs = stageNeeds(recipe, block.index, stage);
  const inputs: Inputs = { chunks: job.chunks, x: (c) => job.full.x(c, stage), xq: (c) => job.quantized.x(c) };
  const statistics = await accumulate(ops, inputs, stageInputs(spec, stage), tokens, needs, signal);
  const correction = needs.corrected ? await prepareCorrection(ops, statistics.H!, statistics.C!, recipe.qep.damp) : null;
  const layers = await correctLayers(job, block, stage, correction);
  if (correction) warnOfDamping(job, block, stage, "QEP's H + λI", correction.damping, correction.solvable ? null : "α is 0 here");
  const view: StageView = {
    block: block.index,
    layers,
    ...statistics,
    tokens,
    ...inputs,
    moduleOutput: (c, weights) => moduleOutput(ops, geometry, block, stage, inputs.x(c), weights),
    foldable: isFoldable(spec, stage),
  };
  const { layers: results, fold } = await quantizeByMethod(job, view);
  const { damping, fallback } = results.find((r) => r.fallback) ?? results.find((r) => r.damping.length) ?? results[0];
  if (damping.length) warnOfDamping(job, block, stage, "the method's H + λI", damping, fallback);
  const insights = await insightsOf(ops, block, layers, statistics, correction, tokens);
  const weights = {} as Record<LayerKind, Tensor>;
  for (const [i, result] of results.entries()) weights[stage.kinds[i]] = await settle(job, layers[i], result);
  if (fold) await foldBefore(job, block, stage, fold);
  ops.free(...layers.flatMap((l) => (l.rest ? [l.weight, l.rest] : [])));
  correction?.free();
  freeStatistics(ops, statistics);
  progress.add(
    quantizeWork(spec, recipe, block.index, stage, { tokens, heldTokens: job.heldTokens, length: geometry.length }),
    place(block, stage),
  );
  return { weights, reports: layers.map((layer, i) => describe(job, block, layer, results[i], correction, insights)) };
}

/** The layers of each method to that method. Only one that has the whole stage may fold. */
async function quantizeByMethod({ ops, recipe, signal }: BlockJob, view: StageView): Promise<StageResult> {
  const results = new Map<StageLayer, QuantizedLayer>();
  let fold: Float64Array | null = null;
  for (const [method, mine] of byMethod(recipe, view.layers)) {
    const outcome = await quantizers[method].quantize({ ...view, layers: mine }, recipe, ops, signal);
    for (const [i, layer] of mine.entries()) results.set(layer, outcome.layers[i]);
    fold ??= outcome.fold;
  }
  return { layers: view.layers.map((layer) => results.get(layer)!), fold };
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
  const message = `${place(block, stage)}: ${what} was not positive definite; damping tried: ${tried.join(", ")}; ${end}.`;
  emit({ type: "log", level: "warning", message });
}

/** Takes a layer to the host and leaves Ŵ on the device. */
async function settle({ ops, layers, recipe }: BlockJob, { name, grid }: StageLayer, result: QuantizedLayer): Promise<Tensor> {
  const stored = await store(ops, name, result, grid);
  // Now, not after hours of work.
  checkPackedRange(stored, recipe);
  layers.set(name, stored);
  if (!("codes" in result)) return result.weight;
  const W = ops.decode(result.codes, result.grid);
  ops.free(result.codes, result.grid.scales, result.grid.zeros);
  return W;
}

function describe(
  { recipe }: BlockJob,
  block: Block,
  layer: CorrectedLayer,
  result: QuantizedLayer,
  correction: Correction | null,
  { outliers, curves }: Insights,
): LayerReport {
  const unsolved = correction && !correction.solvable ? "QEP's solve was not positive definite: α = 0" : null;
  const solves = [correction?.damping ?? [], result.damping];
  return {
    name: layer.name,
    kind: layer.kind,
    block: block.index,
    method: settingsOf(recipe, layer.name).method,
    bits: layer.grid.bits,
    alpha: layer.alpha,
    relativeError: Number.NaN,
    heldOut: layer.heldOut && { relativeError: Number.NaN, curve: layer.heldOut },
    damping: solves.flat(),
    retries: solves.reduce((sum, tried) => sum + Math.max(0, tried.length - 1), 0),
    curve: curves.get(layer.kind) ?? null,
    outliers,
    fallback: result.fallback ?? unsolved,
    ms: 0,
  };
}
