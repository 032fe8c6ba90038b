import type { Divergence } from "../../src/results/measures";

/** A measured divergence, where a test is not about it. */
export const someDivergence: Divergence = {
  kl: { mean: 0.0421, error: 0.0012, median: 0.0203, p99: 0.411, max: 1.92 },
  sameTop: { mean: 0.9312, error: 0.0031 },
  lossRise: { mean: 0.0583, error: 0.0021 },
};
