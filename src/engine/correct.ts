import type { Block } from "../model/forward";
import { type Stage, stageInputs } from "../model/layers";
import type { Tensor } from "../ops/ops";
import type { LayerPlan } from "../quant/layer-plan";
import type { Correction } from "../quant/qep";
import type { StageLayer } from "../quant/quantizer";
import type { LayerKind } from "../recipe/recipe";
import type { AlphaCurve } from "../results/report";
import { chooseAlpha, heldOutCurve } from "./choice";
import type { BlockJob } from "./job";
import { accumulate, freeStatistics, type Statistics } from "./statistics";

/** A layer as its method receives it, with what was learned while correcting it. */
export interface CorrectedLayer extends StageLayer {
  plan: LayerPlan;
  /** α in use. */
  alpha: number;
  /** See `Direction`; null where QEP did nothing at the layer's stage. */
  products: Tensor | null;
  /** Error before rounding on the held-out windows, not yet divided by ‖WX‖²; null without such windows. */
  heldOut: AlphaCurve | null;
}

/** W*(α) of a stage's layers. The caller frees `weight` and `rest` where α > 0; where α is 0, `weight` is the block's own and `rest` is null. */
export async function correctLayers(
  job: BlockJob,
  block: Block,
  stage: Stage,
  plans: readonly LayerPlan[],
  correction: Correction | null,
): Promise<CorrectedLayer[]> {
  const held = correction?.factor.U && job.plan.holdsOut ? await heldOutStatistics(job, stage) : null;
  const layers: CorrectedLayer[] = [];
  for (const plan of plans) layers.push(await correctLayer(job, block, plan, correction, held));
  if (held) freeStatistics(job.activations.ops, held);
  return layers;
}

/** Where any layer of the stage is corrected, D is computed for those with α = 0 too: it costs little, and gives their parabola in α. */
async function correctLayer(
  { activations: { ops }, load }: BlockJob,
  block: Block,
  plan: LayerPlan,
  correction: Correction | null,
  held: Statistics | null,
): Promise<CorrectedLayer> {
  const { name, grid } = plan;
  const kind = plan.kind as LayerKind;
  const W = block.weights[kind];
  const layer = { plan, kind, name, grid };
  const untouched = { ...layer, alpha: 0, weight: W, rest: null };
  if (!correction?.factor.U) return { ...untouched, products: null, heldOut: null };
  const direction = correction.directionOf(W);
  const heldOut = held && (await heldOutCurve(ops, direction, held, load.heldTokens));
  const alpha = heldOut ? chooseAlpha(plan, heldOut) : plan.alpha;
  const { live, D, products } = direction;
  const { sum, rest } = ops.addExactly(live, D, alpha);
  ops.free(live, D);
  if (alpha > 0) return { ...layer, alpha, weight: sum, rest, products, heldOut };
  // α = 0 is the layer as it is, dead inputs included.
  ops.free(sum, rest);
  return { ...untouched, products, heldOut };
}

/** The held-out windows' own H and C: what the parabola of their error is made of. */
function heldOutStatistics({ activations, geometry, full, quantized, chunks, load, signal }: BlockJob, stage: Stage): Promise<Statistics> {
  const inputs = {
    chunks: quantized.chunks - chunks,
    x: (c: number) => full.x(chunks + c, stage),
    xq: (c: number) => quantized.x(chunks + c),
  };
  return accumulate(activations.ops, inputs, stageInputs(geometry.spec, stage), load.heldTokens, { H: true, C: true }, signal);
}
