import { QuantError, throwIfCancelled } from "../errors";
import type { Block } from "../model/forward";
import { layerName, layerShape, type Stage, stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Ops, Tensor } from "../ops/ops";
import { type Correction, prepareCorrection } from "../quant/qep";
import { gridSpec, type QuantizedLayer, type StageLayer } from "../quant/quantizer";
import { quantizers } from "../quant/registry";
import { type StoredLayer, store } from "../quant/stored";
import { alphaOf, type LayerKind, type Recipe } from "../recipe/recipe";
import type { LayerReport } from "../worker/protocol";
import { squaredErrors } from "./growth";
import { type Insights, insightsOf, relativeCurve } from "./insight";
import type { Emit, Progress } from "./progress";
import { accumulate, type Inputs, type Statistics } from "./statistics";
import type { FullPrecision, Stream } from "./stream";
import { forwardWork, quantizeWork, stageNeeds } from "./work";

/** What quantizing a block works on and tells. */
export interface BlockJob {
  ops: Ops;
  spec: ModelSpec;
  recipe: Recipe;
  tokens: number;
  length: number;
  full: FullPrecision;
  quantized: Stream;
  replay: boolean;
  progress: Progress;
  emit: Emit;
  signal?: AbortSignal;
  keep(layer: StoredLayer): void;
  /** Milliseconds spent on the full-precision stream so far. */
  streamMs: number;
}

/** Quantizes a block stage by stage: each stage's X̂ comes from the stages before it, already quantized. Both streams end after the block. */
export async function quantizeBlock(job: BlockJob, block: Block): Promise<void> {
  for (const stage of stages) {
    const started = performance.now();
    const { weights, reports } = await quantizeStage(job, block, stage);
    const errors = await propagate(job, block, stage, weights);
    job.ops.free(...Object.values(weights));
    const ms = performance.now() - started;
    const total = reports.reduce((sum, r) => sum + size(job.spec, r.kind), 0);
    for (const [i, report] of reports.entries()) {
      const { relative, reference } = errors[i];
      const curve = relativeCurve(report.curve, reference);
      job.emit({ type: "layer", layer: { ...report, relativeError: relative, curve, ms: (ms * size(job.spec, report.kind)) / total } });
    }
  }
}

const size = (spec: ModelSpec, kind: LayerKind) => layerShape(spec, kind)[0] * layerShape(spec, kind)[1];
const place = (block: Block, stage: Stage) => `block ${block.index + 1}, ${stage.kinds.join(", ")}`;

/** Statistics, QEP, then the method: the stage's Ŵ on the device, its codes on the host. */
async function quantizeStage(
  job: BlockJob,
  block: Block,
  stage: Stage,
): Promise<{ weights: Record<LayerKind, Tensor>; reports: LayerReport[] }> {
  const { ops, spec, recipe, tokens, signal, progress } = job;
  const needs = stageNeeds(recipe, block.index, stage);
  const inputs: Inputs = { chunks: job.quantized.chunks, x: (c) => job.full.x(c, stage), xq: (c) => job.quantized.x(c) };
  const statistics = await accumulate(ops, inputs, stageInputs(spec, stage), tokens, needs, signal);
  const correction = needs.corrected ? await prepareCorrection(ops, statistics.H!, statistics.C!, recipe.qep.damp) : null;
  const layers = stage.kinds.map((kind) => correctLayer(job, block, kind, correction));
  if (correction) reportDamping(job, block, stage, "QEP's H + λI", correction.damping, correction.solvable, "α is 0 here");
  const results = await quantizers[recipe.method].quantize({ block: block.index, layers, ...statistics, ...inputs }, recipe, ops, signal);
  const [first] = results;
  if (first.damping.length)
    reportDamping(job, block, stage, "the method's H + λI", first.damping, !first.fallback, "these layers are rounded to nearest");
  const weights = {} as Record<LayerKind, Tensor>;
  for (const [i, result] of results.entries()) weights[stage.kinds[i]] = await settle(job, layers[i].name, result);
  const insights = await insightsOf(ops, block, layers, statistics, correction, tokens);
  ops.free(...layers.filter((l) => l.alpha > 0).map((l) => l.weight));
  freeStatistics(ops, statistics, correction);
  progress.add(quantizeWork(spec, recipe, stage, tokens, needs), place(block, stage));
  return { weights, reports: layers.map((layer, i) => describe(job, block, layer, results[i], correction, insights)) };
}

type CorrectedLayer = StageLayer & { alpha: number; products: Tensor | null };

/** W*(α) of a layer. Where QEP looks at the stage, D is made even for α = 0: the layer's parabola in α is worth its small cost. */
function correctLayer({ recipe, ops }: BlockJob, block: Block, kind: LayerKind, correction: Correction | null): CorrectedLayer {
  const name = layerName(block.index, kind);
  const W = block.weights[kind];
  if (!correction?.solvable) return { kind, name, alpha: 0, weight: W, products: null };
  const alpha = alphaOf(recipe, name, kind);
  const { weight, products } = correction.apply(W, alpha);
  // α = 0 is the layer as it is, dead inputs included.
  if (alpha === 0) ops.free(weight);
  return { kind, name, alpha, weight: alpha > 0 ? weight : W, products };
}

/** One warning for each solve that took more than the recipe's own damping. */
function reportDamping(
  { emit }: BlockJob,
  block: Block,
  stage: Stage,
  what: string,
  tried: readonly number[],
  holds: boolean,
  instead: string,
): void {
  if (tried.length <= 1 && holds) return;
  const end = holds ? "the last one holds" : `none holds, so ${instead}`;
  emit({
    type: "log",
    level: "warning",
    message: `${place(block, stage)}: ${what} was not positive definite; damping tried: ${tried.join(", ")}; ${end}.`,
  });
}

/** Takes a layer's codes to the host and leaves Ŵ on the device. */
async function settle({ ops, recipe, keep }: BlockJob, name: string, result: QuantizedLayer): Promise<Tensor> {
  keep(await store(ops, name, result, gridSpec(recipe)));
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
  return {
    name: layer.name,
    kind: layer.kind,
    block: block.index,
    bits: recipe.bits,
    alpha: layer.alpha,
    relativeError: Number.NaN,
    damping: [...(correction?.damping ?? []), ...result.damping],
    retries: Math.max(0, (correction?.damping.length ?? 1) - 1) + Math.max(0, (result.damping.length || 1) - 1),
    curve: curves.get(layer.kind) ?? null,
    outliers,
    fallback: result.fallback ?? unsolved,
    ms: 0,
  };
}

/** Work on the full-precision stream, its time kept apart: runs that find it kept must compare with runs that do not. */
export async function timed<T>(job: BlockJob, work: () => T): Promise<T> {
  const started = performance.now();
  const value = work();
  if (job.replay) return value;
  await job.ops.flush();
  job.streamMs += performance.now() - started;
  return value;
}

/** Both streams past the stage; the layers' relative errors ‖WX − ŴX̂‖² / ‖WX‖² from the outputs that they compute anyway. */
async function propagate(
  job: BlockJob,
  block: Block,
  stage: Stage,
  weights: Record<LayerKind, Tensor>,
): Promise<{ relative: number; reference: number }[]> {
  const { ops, spec, full, quantized, signal, progress, tokens, length } = job;
  const partials: Tensor[][] = stage.kinds.map(() => []);
  for (let c = 0; c < quantized.chunks; c++) {
    const exact = await timed(job, () => full.outputs(c, stage, block));
    const outputs = quantized.outputs(c, stage, weights);
    for (const [i, y] of exact.entries()) partials[i].push(ops.squaredDifference(y, outputs[i]));
    quantized.advance(c, block, stage, outputs);
    await ops.flush();
    await timed(job, () => full.advance(c, stage, block));
    throwIfCancelled(signal);
    progress.add((forwardWork(spec, stage, tokens, length) * (job.replay ? 1 : 2)) / quantized.chunks, place(block, stage));
  }
  const errors = await squaredErrors(ops, partials);
  return errors.map(({ difference, reference }, i) => {
    if (!Number.isFinite(difference))
      throw new QuantError("non-finite-activations", layerName(block.index, stage.kinds[i]), "Try more bits, or check the checkpoint.");
    return { relative: reference > 0 ? difference / reference : 0, reference };
  });
}
