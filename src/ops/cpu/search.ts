/** Scale and offset of a group by least weighted squares: the candidates of llama.cpp's K-quant search, each refitted and rounded again. Float64. */
import { clamp, roundHalfEven } from "./groups";

/** x ≈ scale·code − min; codes 0 … top. */
export interface Fit {
  scale: number;
  min: number;
}

/** The candidates: 1/scale = (top + first + k·step) / range. */
const affineCandidates = { first: -0.9, step: 0.05, count: 37 };
/** The candidates: 1/scale = −(half + k·step) / extreme, k = −most … most. */
const signedCandidates = { step: 0.1, most: 9 };

/** Σ w·(x − (scale·code − min))², each code the nearest; the sum so far where it has reached `least`, and the rest cannot matter. */
export function errorOf(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  top: number,
  { scale, min }: Fit,
  least = Number.POSITIVE_INFINITY,
): number {
  let sum = 0;
  for (let i = 0; i < x.length && sum < least; i++) {
    const d = x[i] - (scale * nearest(x[i], scale, min, top) - min);
    sum += w[i] * d * d;
  }
  return sum;
}

export const nearest = (x: number, scale: number, min: number, top: number): number =>
  scale === 0 ? 0 : clamp(roundHalfEven((x + min) / scale), 0, top);

/** The fit with the least error for x on codes 0 … top, scale and min at least 0. A range always holds 0. */
export function affineFit(x: ArrayLike<number>, w: ArrayLike<number>, top: number): Fit {
  let [low, high] = [0, x[0]];
  for (let i = 0; i < x.length; i++) {
    low = Math.min(low, x[i]);
    high = Math.max(high, x[i]);
  }
  if (high <= low) return { scale: 0, min: -low };
  let best = { scale: (high - low) / top, min: -low };
  let least = errorOf(x, w, top, best);
  for (let k = 0; k < affineCandidates.count; k++) {
    const inverse = (top + affineCandidates.first + k * affineCandidates.step) / (high - low);
    const fit = refitted(x, w, top, { scale: 1 / inverse, min: -low });
    const error = fit ? errorOf(x, w, top, fit, least) : Number.POSITIVE_INFINITY;
    if (fit && error < least) [best, least] = [fit, error];
  }
  return best;
}

/** Scale and min by weighted least squares for the codes that a fit gives; null where they are not determined. */
function refitted(x: ArrayLike<number>, w: ArrayLike<number>, top: number, { scale, min }: Fit): Fit | null {
  let [sw, sx, sl, sll, sxl] = [0, 0, 0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const code = nearest(x[i], scale, min, top);
    sw += w[i];
    sx += w[i] * x[i];
    sl += w[i] * code;
    sll += w[i] * code * code;
    sxl += w[i] * code * x[i];
  }
  const determinant = sw * sll - sl * sl;
  if (!(determinant > 0)) return null;
  const offset = (sll * sx - sl * sxl) / determinant;
  const fit = offset <= 0 ? { scale: (sw * sxl - sx * sl) / determinant, min: -offset } : { scale: sxl / sll, min: 0 };
  return fit.scale > 0 ? fit : null;
}

/** The scale with the least error for x ≈ scale·(code − half), codes 0 … 2·half − 1. It may be negative: the side with one point more is that of the extreme. */
export function signedFit(x: ArrayLike<number>, w: ArrayLike<number>, half: number): number {
  let extreme = 0;
  for (let i = 0; i < x.length; i++) if (Math.abs(x[i]) > Math.abs(extreme)) extreme = x[i];
  if (extreme === 0) return 0;
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let k = -signedCandidates.most; k <= signedCandidates.most; k++) {
    const scale = signedRefit(x, w, half, -extreme / (half + k * signedCandidates.step));
    const error = errorOf(x, w, 2 * half - 1, { scale, min: scale * half }, least);
    if (error < least) [best, least] = [scale, error];
  }
  return best;
}

function signedRefit(x: ArrayLike<number>, w: ArrayLike<number>, half: number, scale: number): number {
  let [sxl, sll] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const code = nearest(x[i], scale, scale * half, 2 * half - 1) - half;
    sxl += w[i] * code * x[i];
    sll += w[i] * code * code;
  }
  return sll > 0 ? sxl / sll : scale;
}
