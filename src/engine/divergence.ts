import type { Divergences } from "../model/losses";
import type { Divergence, Mean } from "../results/measures";

/** What is reported of two models' predictions, as `llama-perplexity --kl-divergence` defines it. */
export function divergenceOf({ before, after, kl, sameTop }: Divergences): Divergence {
  const sorted = kl.toSorted();
  return {
    kl: { ...meanOf(kl), median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted[sorted.length - 1] },
    sameTop: meanOf(sameTop),
    lossRise: meanOf(after.map((loss, i) => loss - before[i])),
  };
}

/** exp of the mean loss. */
export const perplexityOfLosses = (losses: ArrayLike<number>): number => Math.exp(meanOf(losses).mean);

function meanOf(values: ArrayLike<number>): Mean {
  const n = values.length;
  const sum = (of: (x: number) => number) => {
    let total = 0;
    for (let i = 0; i < n; i++) total += of(values[i]);
    return total;
  };
  const mean = sum((x) => x) / n;
  return { mean, error: Math.sqrt(sum((x) => (x - mean) ** 2) / (n - 1) / n) };
}

/** Between two values it is interpolated. */
function quantile(sorted: ArrayLike<number>, fraction: number): number {
  const at = fraction * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
