import type { Ops, Tensor } from "../ops/ops";
import { alphaCurve } from "../quant/qep";
import type { LayerKind } from "../recipe/recipe";
import type { AlphaCurve, LayerReport } from "../results/report";
import type { PreparedStage } from "./prepare";
import { pairSums } from "./sums";

/** What is reported about a stage's layers besides their errors. */
export interface Insights {
  outliers: LayerReport["outliers"];
  /** Not yet divided by ‖WX‖², which is only known once the outputs are computed. */
  curves: Map<LayerKind, AlphaCurve>;
}

const outliersTold = 4;

/**
 * The inputs that stand out in diag H, and each corrected layer's error as a parabola in α. One round trip, after which the diagonal, the drifts and the
 * layers' products are freed.
 */
export async function insightsOf(
  ops: Ops,
  layers: readonly { kind: LayerKind; products: Tensor | null }[],
  { diagonal, statistics, correction }: Pick<PreparedStage, "diagonal" | "statistics" | "correction">,
  tokens: number,
): Promise<Insights> {
  if (!diagonal) return { outliers: [], curves: new Map() };
  const products = layers.map((l) => (l.products ? [l.products] : []));
  const drifts = statistics.drifts ?? [];
  const groups = [[diagonal], ...products, ...drifts];
  const values = await ops.read(groups.flat());
  ops.free(...groups.flat());
  const [[h], ...sums] = groups.map((group) => values.splice(0, group.length));
  const live = Array.from(h).filter((x) => x > 0);
  const mean = live.reduce((a, b) => a + b, 0) / Math.max(1, live.length);
  const lambda = (correction?.factor.tried.at(-1) ?? 0) * mean;
  const curves = new Map<LayerKind, AlphaCurve>();
  for (const [i, { kind, products: own }] of layers.entries()) {
    if (!own) continue;
    const drift = sums[layers.length + i].reduce((sum, pairs) => sum + pairSums(pairs)[0], 0);
    const [product, square] = pairSums(sums[i][0]);
    curves.set(kind, alphaCurve(drift, product, square, lambda, tokens / 2));
  }
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
