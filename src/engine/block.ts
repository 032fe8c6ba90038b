import { QuantError, throwIfCancelled } from "../errors";
import type { Block } from "../model/forward";
import { layerName, layerShape, type Stage, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Tensor } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";
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
    const total = reports.reduce((sum, r) => sum + size(spec, r.kind), 0);
    for (const [i, report] of reports.entries()) {
      const { relative, reference } = errors[i];
      const curve = relativeCurve(report.curve, reference);
      job.emit({ type: "layer", layer: { ...report, relativeError: relative, curve, ms: (ms * size(spec, report.kind)) / total } });
    }
  }
}

const size = (spec: ModelSpec, kind: LayerKind) => layerShape(spec, kind)[0] * layerShape(spec, kind)[1];

/** Both streams past the stage; the layers' relative errors ‖WX − ŴX̂‖² / ‖WX‖² from the outputs that they compute anyway. */
async function propagate(
  job: BlockJob,
  block: Block,
  stage: Stage,
  weights: Record<LayerKind, Tensor>,
): Promise<{ relative: number; reference: number }[]> {
  const { ops, geometry, full, quantized, signal, progress, tokens } = job;
  const work = forwardWork(geometry.spec, stage, tokens, geometry.length) * (job.replay ? 1 : 2);
  const partials: Tensor[][] = stage.kinds.map(() => []);
  for (let c = 0; c < quantized.chunks; c++) {
    const exact = await timed(job, () => full.outputs(c, stage, block));
    const outputs = quantized.outputs(c, stage, weights);
    for (const [i, y] of exact.entries()) partials[i].push(ops.squaredDifference(y, outputs[i]));
    quantized.advance(c, block, stage, outputs);
    await ops.flush();
    await timed(job, () => full.advance(c, stage, block));
    throwIfCancelled(signal);
    progress.add(work / quantized.chunks, place(block, stage));
  }
  const errors = await squaredErrors(ops, partials);
  return errors.map(({ difference, reference }, i) => {
    if (!Number.isFinite(difference))
      throw new QuantError("non-finite-activations", layerName(block.index, stage.kinds[i]), "Try more bits, or check the checkpoint.");
    return { relative: reference > 0 ? difference / reference : 0, reference };
  });
}
