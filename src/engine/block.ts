import { QuantError, throwIfCancelled } from "../errors";
import { madeBeyondF16 } from "../export/range";
import type { LoadedBlock } from "../model/block";
import { layerName, layerShape, type Stage, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Tensor } from "../ops/ops";
import { stageLayers } from "../quant/layer-plan";
import type { LayerKind } from "../recipe/recipe";
import type { LayerReport } from "../results/report";
import type { UnfinishedBlock } from "./fold";
import { growth, squaredErrors } from "./growth";
import { relativeCurve } from "./insight";
import { type BlockJob, onFullStream, placeName } from "./job";
import { weightsFor } from "./needs";
import type { BlockOutcome } from "./outcome";
import { type QuantizedStage, quantizeStage } from "./stage";
import { forwardWork } from "./work";

/**
 * Takes both streams through a block, stage by stage, quantizing it on the way where the plan says so. Only the weights of the stage are on the device. Each
 * layer is reported as soon as its error is known.
 */
export async function runBlock(job: BlockJob, block: LoadedBlock): Promise<BlockOutcome> {
  const started = performance.now();
  job.streamMs = 0;
  const made: UnfinishedBlock = { layers: new Map(), replaced: new Map() };
  const layers: LayerReport[] = [];
  await job.full.enter(block);
  await job.quantized.enter(block);
  for (const stage of stages) {
    if (block.index < job.plan.quantizedBlocks) layers.push(...(await quantizeAndPass(job, block, stage, made)));
    else await passStage(job, block, stage);
    block.drop(stage.kinds);
  }
  const report = await growth(
    job.activations.ops,
    block.index,
    job.chunks,
    (c) => job.full.h(c),
    (c) => job.quantized.h(c),
  );
  await job.full.leave();
  return {
    index: block.index,
    layers: [...made.layers.values()],
    replaced: made.replaced,
    beyondF16: madeBeyondF16(made.layers.values(), made.replaced),
    report: { block: report, layers, ms: performance.now() - started, streamMs: job.streamMs },
  };
}

/** The stage's X̂ comes from the stages before it, already quantized. */
async function quantizeAndPass(job: BlockJob, block: LoadedBlock, stage: Stage, made: UnfinishedBlock): Promise<LayerReport[]> {
  const started = performance.now();
  await block.load(weightsFor(stageLayers(job.plan, block.index, stage), stage));
  const quantized = await quantizeStage(job, block, stage, made);
  const errors = await propagate(job, block, stage, quantized.weights);
  job.activations.ops.free(...Object.values(quantized.weights));
  const described = describe(job, block, quantized, errors, performance.now() - started);
  for (const layer of described) job.emit({ type: "layer", layer });
  return described;
}

/** A stage that is not quantized: full-precision weights on both streams. */
async function passStage(job: BlockJob, block: LoadedBlock, stage: Stage): Promise<void> {
  const { geometry, full, quantized, load, progress, signal } = job;
  const { ops } = job.activations;
  const work = forwardWork(geometry.spec, stage, load.tokens + load.heldTokens, geometry.length) * (job.replay ? 1 : 2);
  await block.load(stage.kinds);
  for (let c = 0; c < quantized.chunks; c++) {
    const outputs = await quantized.outputs(c, stage, block.weights);
    await quantized.advance(c, block, stage, outputs);
    ops.free(...outputs);
    await ops.flush();
    await onFullStream(job, async () => {
      await full.outputs(c, stage, block);
      await full.advance(c, stage, block);
    });
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, `block ${block.index + 1}, not quantized`);
  }
}

interface OutputError {
  difference: number;
  reference: number;
}

interface StageErrors {
  /** One entry per layer, over the calibration tokens. */
  own: OutputError[];
  /** The same over the held-out tokens; null when there are none. */
  held: OutputError[] | null;
}

/** Takes both streams past the stage. Each layer's ‖WX − ŴX̂‖² and ‖WX‖² come from the outputs computed on the way, held-out windows separately. */
async function propagate(job: BlockJob, block: LoadedBlock, stage: Stage, weights: Record<LayerKind, Tensor>): Promise<StageErrors> {
  const { geometry, full, quantized, signal, progress, chunks, load } = job;
  const { ops } = job.activations;
  const work = forwardWork(geometry.spec, stage, load.tokens + load.heldTokens, geometry.length) * (job.replay ? 1 : 2);
  const partials: Tensor[][] = stage.kinds.map(() => []);
  const held: Tensor[][] = stage.kinds.map(() => []);
  for (let c = 0; c < quantized.chunks; c++) {
    const exact = await onFullStream(job, () => full.outputs(c, stage, block));
    const outputs = await quantized.outputs(c, stage, weights);
    for (const [i, y] of exact.entries()) (c < chunks ? partials : held)[i].push(ops.squaredDifference(y, outputs[i]));
    await quantized.advance(c, block, stage, outputs);
    ops.free(...outputs);
    await ops.flush();
    await onFullStream(job, () => full.advance(c, stage, block));
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, placeName(block, stage));
  }
  const own = await squaredErrors(ops, partials);
  const lost = own.findIndex(({ difference }) => !Number.isFinite(difference));
  if (lost >= 0)
    throw new QuantError("non-finite-activations", layerName(block.index, stage.kinds[lost]), "Try more bits, or check the checkpoint.");
  return { own, held: held[0].length ? await squaredErrors(ops, held) : null };
}

const relative = ({ difference, reference }: OutputError): number => (reference > 0 ? difference / reference : 0);

const size = (spec: ModelSpec, kind: LayerKind) => layerShape(spec, kind)[0] * layerShape(spec, kind)[1];

/** The reports of the stage's layers. The stage's wall time is divided among them by their number of weights. */
function describe(
  { geometry: { spec } }: BlockJob,
  block: LoadedBlock,
  { layers, factor, insights }: QuantizedStage,
  { own, held }: StageErrors,
  ms: number,
): LayerReport[] {
  const total = layers.reduce((sum, { kind }) => sum + size(spec, kind), 0);
  const unsolved = factor && !factor.U ? "QEP's solve was not positive definite: α = 0" : null;
  return layers.map(({ name, kind, plan, grid, alpha, heldOut, solve }, i) => {
    // A method that rounds with QEP's factor has solved nothing anew.
    const solves = factor && factor.tried !== solve.damping ? [factor.tried, solve.damping] : [solve.damping];
    const curve = insights.curves.get(kind);
    return {
      name,
      kind,
      block: block.index,
      method: plan.method,
      bits: grid.bits,
      alpha,
      relativeError: relative(own[i]),
      heldOut: heldOut && held && { relativeError: relative(held[i]), curve: relativeCurve(heldOut, held[i].reference) },
      damping: solves.flat(),
      retries: solves.reduce((sum, tried) => sum + Math.max(0, tried.length - 1), 0),
      curve: curve ? relativeCurve(curve, own[i].reference) : null,
      outliers: insights.outliers,
      fallback: solve.fallback ?? unsolved,
      ms: (ms * size(spec, kind)) / total,
    };
  });
}
