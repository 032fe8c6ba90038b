import type { Ops } from "../ops/ops";
import type { LayerPlan } from "../quant/layer-plan";
import type { Direction } from "../quant/qep";
import type { AlphaCurve } from "../results/report";
import type { Statistics } from "./statistics";
import { pairSums, productsWith } from "./sums";

/**
 * A layer's output error before rounding on windows that are in neither H nor C: ‖WX − W*(α)X̂‖², exactly a parabola in α, because W*(α) = W + α·D.
 * @param held the held-out windows' own statistics. @param tokens how many tokens they have.
 */
export async function heldOutCurve(ops: Ops, { live, D }: Direction, held: Statistics, tokens: number): Promise<AlphaCurve> {
  const partials = [productsWith(ops, live, held.drift!, live), productsWith(ops, live, held.C!, D), productsWith(ops, D, held.H!, D)];
  const [[base], [slope], [curvature]] = (await ops.read(partials)).map(pairSums);
  ops.free(...partials);
  const scale = tokens / 2;
  return { base: scale * base, slope: scale * slope, curvature: scale * curvature };
}

/** Chooses one layer's α by its error on the held-out windows. */
export function chooseAlpha({ alpha, choice }: Pick<LayerPlan, "alpha" | "choice">, { slope, curvature }: AlphaCurve): number {
  if (choice === "given") return alpha;
  if (choice === "best") return curvature > 0 ? rounded(Math.min(1, Math.max(0, slope / curvature))) : 0;
  // e(α) − e(0) = −2·slope·α + curvature·α²
  return curvature * alpha > 2 * slope ? 0 : alpha;
}

/** Three digits: precise enough near the least of a parabola, and short enough for a rule that repeats the choice. */
const rounded = (alpha: number): number => Math.round(alpha * 1000) / 1000;
