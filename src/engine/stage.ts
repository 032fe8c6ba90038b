import type { Block } from "../model/forward";
import { layerName, type Stage, stageInputs } from "../model/layers";
import type { Ops, Tensor } from "../ops/ops";
import { type Correction, prepareCorrection } from "../quant/qep";
import { gridSpec, type QuantizedLayer, type StageLayer, type StageView } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import { store } from "../quant/stored";
import { alphaOf, type LayerKind } from "../recipe/recipe";
import type { LayerReport } from "../worker/protocol";
import { foldBefore, isFoldable } from "./fold";
import { type Insights, insightsOf } from "./insight";
import { type BlockJob, place } from "./job";
import { moduleOutput } from "./module";
import { accumulate, type Inputs, type Statistics } from "./statistics";
import { quantizeWork, stageNeeds } from "./work";

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
  const inputs: Inputs = { chunks: job.quantized.chunks, x: (c) => job.full.x(c, stage), xq: (c) => job.quantized.x(c) };
  const statistics = await accumulate(ops, inputs, stageInputs(spec, stage), tokens, needs, signal);
  const correction = needs.corrected ? await prepareCorrection(ops, statistics.H!, statistics.C!, recipe.qep.damp) : null;
  const layers = stage.kinds.map((kind) => correctLayer(job, block, kind, correction));
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
  const { layers: results, fold } = await quantizers[recipe.method].quantize(view, recipe, ops, signal);
  const { damping, fallback } = results[0];
  if (damping.length) warnOfDamping(job, block, stage, "the method's H + λI", damping, fallback);
  const insights = await insightsOf(ops, block, layers, statistics, correction, tokens);
  const weights = {} as Record<LayerKind, Tensor>;
  for (const [i, result] of results.entries()) weights[stage.kinds[i]] = await settle(job, layers[i].name, result);
  if (fold) await foldBefore(job, block, stage, fold);
  ops.free(...layers.flatMap((l) => (l.rest ? [l.weight, l.rest] : [])));
  freeStatistics(ops, statistics, correction);
  progress.add(quantizeWork(spec, recipe, stage, tokens, needs), place(block, stage));
  return { weights, reports: layers.map((layer, i) => describe(job, block, layer, results[i], correction, insights)) };
}

type CorrectedLayer = StageLayer & { alpha: number; products: Tensor | null };

/** W*(α) of a layer. Where QEP looks at the stage, D is made even for α = 0: the layer's parabola in α is worth its small cost. */
function correctLayer({ recipe, ops }: BlockJob, block: Block, kind: LayerKind, correction: Correction | null): CorrectedLayer {
  const name = layerName(block.index, kind);
  const W = block.weights[kind];
  if (!correction?.solvable) return { kind, name, alpha: 0, weight: W, rest: null, products: null };
  const alpha = alphaOf(recipe, name, kind);
  const { weight, rest, products } = correction.apply(W, alpha);
  if (alpha > 0) return { kind, name, alpha, weight, rest, products };
  // α = 0 is the layer as it is, dead inputs included.
  ops.free(weight, rest);
  return { kind, name, alpha, weight: W, rest: null, products };
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
async function settle({ ops, recipe, layers }: BlockJob, name: string, result: QuantizedLayer): Promise<Tensor> {
  layers.set(name, await store(ops, name, result, gridSpec(recipe)));
  if (!("codes" in result)) return result.weight;
  const W = ops.decode(result.codes, result.grid);
  ops.free(result.codes, result.grid.scales, result.grid.zeros);
  return W;
}

function freeStatistics(ops: Ops, { H, C, drift }: Statistics, correction: Correction | null): void {
  correction?.free();
  ops.free(...[H, C, drift].filter((t) => t !== null));
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
    bits: recipe.bits,
    alpha: layer.alpha,
    relativeError: Number.NaN,
    damping: solves.flat(),
    retries: solves.reduce((sum, tried) => sum + Math.max(0, tried.length - 1), 0),
    curve: curves.get(layer.kind) ?? null,
    outliers,
    fallback: result.fallback ?? unsolved,
    ms: 0,
  };
}
