import type { Block } from "../model/block";
import type { Stage } from "../model/layers";
import type { Tensor } from "../ops/ops";
import type { InverseFactor } from "../quant/factor";
import type { LayerPlan } from "../quant/layer-plan";
import { crossed, directionOf } from "../quant/qep";
import type { StageLayer } from "../quant/quantizer";
import type { LayerKind } from "../recipe/recipe";
import type { AlphaCurve } from "../results/report";
import { chooseAlpha, heldOutCurve } from "./choice";
import type { BlockJob } from "./job";

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

/** What QEP corrects a stage's layers with. */
export interface Correction {
  /** Of H + λI, borrowed. Without U it was not positive definite with any damping, and α is 0 for these layers. */
  factor: InverseFactor;
  /** (2/T)·(X − Xq)ᵀXq, borrowed; null where W·C of all layers is there. */
  C: Tensor | null;
  /** W·C of layers for which it was made before. Each is used up by its layer. */
  crossed: Map<LayerKind, Tensor>;
}

/**
 * W*(α) of a layer. The caller frees `weight` and `rest` where α > 0; where α is 0, `weight` is the block's own and `rest` is null. Where any layer of the
 * stage is corrected, D is computed for those with α = 0 too: it costs little, and gives their parabola in α.
 */
export async function correctLayer(
  job: BlockJob,
  block: Block,
  stage: Stage,
  plan: LayerPlan,
  correction: Correction | null,
): Promise<CorrectedLayer> {
  const { ops } = job.activations;
  const { name, grid } = plan;
  const kind = plan.kind as LayerKind;
  const W = block.weights[kind];
  const layer = { plan, kind, name, grid };
  const untouched = { ...layer, alpha: 0, weight: W, rest: null };
  if (!correction?.factor.U) return { ...untouched, products: null, heldOut: null };
  const { factor, C } = correction;
  const WC = correction.crossed.get(kind) ?? crossed(ops, W, C!, factor.dead);
  correction.crossed.delete(kind);
  const { live, D, products } = directionOf(ops, W, WC, factor);
  const heldOut = job.plan.holdsOut ? await heldOutCurve(job, stage, live, D) : null;
  const alpha = heldOut ? chooseAlpha(plan, heldOut) : plan.alpha;
  const { sum, rest } = ops.addExactly(live, D, alpha);
  ops.free(live, D);
  if (alpha > 0) return { ...layer, alpha, weight: sum, rest, products, heldOut };
  // α = 0 is the layer as it is, dead inputs included.
  ops.free(sum, rest);
  return { ...untouched, products, heldOut };
}
