import type { Block } from "../model/forward";
import type { Ops, Tensor } from "../ops/ops";
import type { InverseFactor } from "../quant/factor";
import { alphaCurve } from "../quant/qep";
import type { LayerKind } from "../recipe/recipe";
import type { AlphaCurve, LayerReport } from "../results/report";
import type { Statistics } from "./statistics";
import { pairSums, productsWith } from "./sums";

/** What is reported about a stage's layers besides their errors. */
export interface Insights {
  outliers: LayerReport["outliers"];
  /** Not yet divided by ‖WX‖², which is only known once the outputs are computed. */
  curves: Map<LayerKind, AlphaCurve>;
}

const outliersTold = 4;

/** The inputs that stand out in diag H, and each corrected layer's error as a parabola in α. One round trip. */
export async function insightsOf(
  ops: Ops,
  block: Block,
  layers: readonly { kind: LayerKind; products: Tensor | null }[],
  { H, drift }: Statistics,
  factor: InverseFactor | null,
  tokens: number,
): Promise<Insights> {
  if (!H) return { outliers: [], curves: new Map() };
  const diagonal = ops.diagonal(H);
  const corrected = layers.filter((l) => l.products !== null);
  const drifts = corrected.map((l) => productsWith(ops, block.weights[l.kind], drift!, block.weights[l.kind]));
  const products = corrected.map((l) => l.products!);
  const [h, ...sums] = await ops.read([diagonal, ...drifts, ...products]);
  ops.free(diagonal, ...drifts, ...products);
  const live = Array.from(h).filter((x) => x > 0);
  const mean = live.reduce((a, b) => a + b, 0) / Math.max(1, live.length);
  const lambda = (factor?.tried.at(-1) ?? 0) * mean;
  const curves = new Map(
    corrected.map((l, i) => {
      const [drifted] = pairSums(sums[i]);
      const [product, square] = pairSums(sums[corrected.length + i]);
      return [l.kind, alphaCurve(drifted, product, square, lambda, tokens / 2)];
    }),
  );
  return { outliers: largest(h, mean), curves };
}

function largest(h: ArrayLike<number>, mean: number): LayerReport["outliers"] {
  if (mean === 0) return [];
  return Array.from(h, (x, input) => ({ input, times: x / mean }))
    .sort((a, b) => b.times - a.times)
    .slice(0, outliersTold);
}

/** A curve of relative errors: divided by ‖WX‖². */
export const relativeCurve = (curve: AlphaCurve, reference: number): AlphaCurve => ({
  base: curve.base / reference,
  slope: curve.slope / reference,
  curvature: curve.curvature / reference,
});
