import { QuantError, throwIfCancelled } from "../errors";
import type { Block } from "../model/forward";
import { layerName, layerShape, type Stage, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Tensor } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";
import type { LayerReport } from "../results/report";
import { squaredErrors } from "./growth";
import { relativeCurve } from "./insight";
import { type BlockJob, place, timed } from "./job";
import { quantizeStage } from "./stage";
import { forwardWork } from "./work";

/** Quantizes a block stage by stage: each stage's X̂ comes from the stages before it, already quantized. Both streams end after the block. */
export async function quantizeBlock(job: BlockJob, block: Block): Promise<void> {
  const { spec } = job.geometry;
  for (const stage of stages) {
    const started = performance.now();
    const { weights, reports } = await quantizeStage(job, block, stage);
    const errors = await propagate(job, block, stage, weights);
    job.ops.free(...Object.values(weights));
    const ms = performance.now() - started;
    const total = stage.kinds.reduce((sum, kind) => sum + size(spec, kind), 0);
    for (const [i, report] of reports.entries()) {
      const share = (ms * size(spec, stage.kinds[i])) / total;
      job.emit({ type: "layer", layer: { ...report, ...measured(report, errors.own[i], errors.held?.[i] ?? null), ms: share } });
    }
  }
}

interface OutputError {
  difference: number;
  reference: number;
}

/** What the outputs tell of a layer: its errors, and what its curves are to be divided by. */
function measured(
  report: LayerReport,
  own: OutputError,
  held: OutputError | null,
): Pick<LayerReport, "relativeError" | "curve" | "heldOut"> {
  return {
    relativeError: relative(own),
    curve: report.curve && relativeCurve(report.curve, own.reference),
    heldOut: report.heldOut && held && { relativeError: relative(held), curve: relativeCurve(report.heldOut.curve, held.reference) },
  };
}

const relative = ({ difference, reference }: OutputError): number => (reference > 0 ? difference / reference : 0);

const size = (spec: ModelSpec, kind: LayerKind) => layerShape(spec, kind)[0] * layerShape(spec, kind)[1];

/** Both streams past the stage; the layers' errors ‖WX − ŴX̂‖² and ‖WX‖² from the outputs that they compute anyway, held-out windows apart. */
async function propagate(
  job: BlockJob,
  block: Block,
  stage: Stage,
  weights: Record<LayerKind, Tensor>,
): Promise<{ own: OutputError[]; held: OutputError[] | null }> {
  const { ops, geometry, full, quantized, signal, progress, chunks } = job;
  const work = forwardWork(geometry.spec, stage, job.tokens + job.heldTokens, geometry.length) * (job.replay ? 1 : 2);
  const partials: Tensor[][] = stage.kinds.map(() => []);
  const held: Tensor[][] = stage.kinds.map(() => []);
  for (let c = 0; c < quantized.chunks; c++) {
    const exact = await timed(job, () => full.outputs(c, stage, block));
    const outputs = quantized.outputs(c, stage, weights);
    for (const [i, y] of exact.entries()) (c < chunks ? partials : held)[i].push(ops.squaredDifference(y, outputs[i]));
    quantized.advance(c, block, stage, outputs);
    await ops.flush();
    await timed(job, () => full.advance(c, stage, block));
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, place(block, stage));
  }
  const own = await squaredErrors(ops, partials);
  const lost = own.findIndex(({ difference }) => !Number.isFinite(difference));
  if (lost >= 0)
    throw new QuantError("non-finite-activations", layerName(block.index, stage.kinds[lost]), "Try more bits, or check the checkpoint.");
  return { own, held: held[0].length ? await squaredErrors(ops, held) : null };
}
