import type { MethodId, Recipe } from "../recipe/recipe";

/** A layer's relative output error before rounding as a function of α: base − 2·slope·α + curvature·α² (the correction is linear in α). */
export interface AlphaCurve {
  base: number;
  slope: number;
  curvature: number;
}

/** How one layer was quantized. */
export interface LayerReport {
  /** Full tensor name without ".weight". */
  name: string;
  /** What the layer is in its block, e.g. q_proj. */
  kind: string;
  block: number;
  method: MethodId;
  bits: number;
  /** α in use: the recipe's, or what the held-out windows chose, or 0 where the solve failed. */
  alpha: number;
  /** ‖WX − ŴX̂‖² / ‖WX‖², before any bias; ‖W − Ŵ‖² / ‖W‖² where nothing was calibrated. */
  relativeError: number;
  /** Damping fractions tried: in QEP's solve, then in the method's where it has one of its own. Empty: nothing was solved. */
  damping: number[];
  /** How many of them came after a failed attempt. */
  retries: number;
  /** Null where QEP did not look at the layer. */
  curve: AlphaCurve | null;
  /** The error on held-out windows, which are in neither H nor C: after rounding, and as a curve before it. Null where none are held out. */
  heldOut: { relativeError: number; curve: AlphaCurve } | null;
  /** The inputs j with the largest H_jj; `times` is H_jj divided by the mean over all inputs that are not dead. Empty where H was not needed. */
  outliers: { input: number; times: number }[];
  /** Why the layer fell back (α = 0, or RTN), or null. */
  fallback: string | null;
  /** This layer's share, by weights, of its stage's wall time. */
  ms: number;
}

/** The error after one block. */
export interface BlockReport {
  index: number;
  /** Δ_m = ‖h_m − ĥ_m‖²_F over all calibration tokens. */
  delta: number;
  /** Δ_m / ‖h_m‖²_F. */
  relativeDelta: number;
}

/** The report file of the command line (docs/report.schema.json) and of an export. */
export interface RunReport {
  version: string;
  recipe: Recipe;
  adapter: string;
  /** Empty where the architecture cannot be run: nothing was calibrated. */
  blocks: BlockReport[];
  layers: LayerReport[];
  ms: number;
  /** The part of `ms` spent on the full-precision stream: 0 where an earlier run's recording was used. */
  streamMs: number;
  peakGpuBytes: number;
}
