import { throwIfCancelled } from "../errors";
import type { Stage } from "../model/layers";
import { using } from "../ops/activations";
import type { Tensor } from "../ops/ops";
import type { LayerPlan } from "../quant/layer-plan";
import type { AlphaCurve } from "../results/report";
import type { BlockJob } from "./job";
import { pairSums } from "./sums";

/**
 * A layer's output error before rounding on windows that are in neither H nor C: ‖WX − W*(α)X̂‖² = ‖W·δ − α·D·X̂‖², exactly a parabola in α, because
 * W*(α) = W + α·D.
 * @param live W [out, in]. @param D [out, in].
 */
export async function heldOutCurve(job: BlockJob, stage: Stage, live: Tensor, D: Tensor): Promise<AlphaCurve> {
  const { activations, full, quantized, chunks, signal } = job;
  const { ops } = activations;
  const sums: Tensor[] = [];
  for (let c = chunks; c < quantized.chunks; c++) {
    const [y, z] = await using(quantized.x(c), (xq) =>
      using(full.x(c, stage), (x) => {
        const difference = ops.add(x, xq, -1);
        const outputs = [ops.linear(difference, live), ops.linear(xq, D)];
        ops.free(difference);
        return outputs;
      }),
    );
    sums.push(ops.innerProducts(y, y), ops.innerProducts(y, z), ops.innerProducts(z, z));
    ops.free(y, z);
    await ops.flush();
    throwIfCancelled(signal);
  }
  const curve = { base: 0, slope: 0, curvature: 0 };
  for (const [i, pairs] of (await ops.read(sums)).entries()) curve[(["base", "slope", "curvature"] as const)[i % 3]] += pairSums(pairs)[0];
  ops.free(...sums);
  return curve;
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
