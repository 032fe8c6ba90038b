/** The heatmap's colours: equal steps of the logarithm between the least and the largest error. */
import { isPlottable } from "../chart-scale";

export const levels = 6;

export interface HeatScale {
  /** 0 … levels − 1; null for a value that is not positive and has no place on a log scale. */
  levelOf(error: number): number | null;
  /** Where each level begins. */
  from: number[];
}

export function heatScale(errors: number[]): HeatScale {
  const logs = errors.filter(isPlottable).map(Math.log);
  const low = Math.min(...logs);
  // One level spans at least 10 %, so that small differences are not drawn as large ones.
  const step = Math.max((Math.max(...logs) - low) / levels, Math.log(1.1));
  return {
    levelOf: (error) => (isPlottable(error) ? Math.min(levels - 1, Math.max(0, Math.floor((Math.log(error) - low) / step + 1e-9))) : null),
    from: logs.length ? Array.from({ length: levels }, (_, i) => Math.exp(low + i * step)) : [],
  };
}
