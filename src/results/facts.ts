/** Weights in bins of equal width from `low` to `high`. */
export interface Histogram {
  low: number;
  high: number;
  counts: number[];
}

/** What the page shows of one layer, beside its report. */
export interface LayerFacts {
  name: string;
  /** [out, in] */
  shape: [number, number];
  before: Histogram;
  /** In the same bins; null when the run did not quantize the layer. */
  after: Histogram | null;
}
