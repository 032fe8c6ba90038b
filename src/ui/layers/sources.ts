/** Which run's figures are shown for the chosen layer. */

import type { AlphaCurve, LayerReport } from "../../results/report";
import { finishedAlphas } from "../../store/runs";
import type { Run, State } from "../../store/state";

export interface LayerOfRun {
  run: Run;
  layer: LayerReport;
}

/** The selected run's report of the layer; while a dragged α has not reached the layer, that of the run whose curve it is replacing. */
export function layerReportOf(state: Pick<State, "runs" | "selected" | "live">, name: string): LayerOfRun | null {
  for (const id of [state.selected, state.live.under]) {
    const run = state.runs.find((r) => r.id === id);
    const layer = run?.layers.find((l) => l.name === name);
    if (run && layer) return { run, layer };
  }
  return null;
}

/** The layer's error over α. A base run has no such curve, so that of the finished run of the same recipe with the smallest α above 0 is taken. */
export function curveOf(
  state: Pick<State, "runs" | "recipe" | "calibration">,
  shown: LayerOfRun,
): (LayerOfRun & { curve: AlphaCurve }) | null {
  const { layer, run } = shown;
  if (layer.curve) return { ...shown, curve: layer.curve };
  const others = finishedAlphas({ ...state, recipe: run.recipe, calibration: run.text })
    .filter((r) => r.recipe.qep.alpha > 0)
    .map((r) => ({ run: r, layer: r.layers.find((l) => l.name === layer.name) }));
  for (const other of others) if (other.layer?.curve) return { run: other.run, layer: other.layer, curve: other.layer.curve };
  return null;
}

export const errorAt = (c: AlphaCurve, alpha: number): number => Math.max(0, c.base - 2 * c.slope * alpha + c.curvature * alpha * alpha);

/** α of the least error, within 0 … 1. */
export function bestAlpha(c: AlphaCurve): number {
  if (c.curvature <= 0) return c.slope > 0 ? 1 : 0;
  return Math.min(1, Math.max(0, c.slope / c.curvature));
}
