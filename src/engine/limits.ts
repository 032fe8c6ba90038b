import { QuantError } from "../errors";
import { mostColumns } from "../ops/ops";
import type { RunPlan } from "../quant/layer-plan";
import type { AdapterFacts } from "../results/adapter";

/**
 * Matrices lie in row panels, so only a row can be too long: that of the weights, or of the outputs that they make.
 * @throws QuantError `gpu-limit` naming the layer, before any work.
 */
export function checkWidths({ layers }: RunPlan, adapter: AdapterFacts): void {
  const allowed = mostColumns(adapter);
  for (const { name, shape } of layers) {
    const widest = Math.max(...shape);
    if (widest <= allowed) continue;
    throw new QuantError(
      "gpu-limit",
      `${name} is ${widest.toLocaleString("en")} wide, but this GPU allows ${allowed.toLocaleString("en")}`,
      "Use a GPU or driver with larger limits, or the command line with --cpu.",
    );
  }
}
