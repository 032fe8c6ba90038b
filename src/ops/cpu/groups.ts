import { toF16, toShortF16 } from "../../io/dtype";
import { type GridKind, gridKinds, pointOf, type SearchedKind } from "../grid-kinds";
import { f16Digits, type GridSpec } from "../ops";

/** Half to even, as WGSL's `round` and numpy's `rint`; Math.round is half up. */
export function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return below % 2 === 0 ? below : below + 1;
}

export const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

const leastF16 = 2 ** -24;

/** S, and z or M, of one group. */
interface Scaling {
  scale: number;
  zero: number;
}

interface Range {
  min: number;
  max: number;
}

type Rule = Pick<GridSpec, "bits" | "symmetric" | "scaleBits">;

/** What a kind makes of a group's weights. */
interface Maker {
  range(w: Float64Array, symmetric: boolean): Range;
  /** A range shrunk to a share of itself, as the search for the least error tries them. */
  shrunken(range: Range, share: number): Range;
  scaling(range: Range, rule: Rule): Scaling;
}

function extent(w: Float64Array): Range {
  const range = { min: w[0], max: w[0] };
  for (const x of w) {
    range.min = Math.min(range.min, x);
    range.max = Math.max(range.max, x);
  }
  return range;
}

const scaleOf = ({ min, max }: Range, { bits, scaleBits = f16Digits }: Rule): number =>
  Math.max(toShortF16((max - min) / (2 ** bits - 1), scaleBits), leastF16);

const makers: Readonly<Record<Exclude<GridKind, SearchedKind>, Maker>> = {
  "integer-zero": {
    /** The range always holds 0, and is [−1, 1] for a group of zeros. */
    range(w, symmetric) {
      const own = extent(w);
      let [min, max] = [Math.min(0, own.min), Math.max(0, own.max)];
      if (symmetric) {
        max = Math.max(-min, max);
        min = -max;
      }
      return min === 0 && max === 0 ? { min: -1, max: 1 } : { min, max };
    },
    shrunken: ({ min, max }, share) => ({ min: share * min, max: share * max }),
    scaling(range, rule) {
      const { bits, symmetric } = rule;
      const scale = scaleOf(range, rule);
      return { scale, zero: symmetric ? 2 ** (bits - 1) : clamp(roundHalfEven(-range.min / scale), 0, 2 ** bits - 1) };
    },
  },
  "real-zero": {
    range: extent,
    /** Both ends move towards the middle: a range far from 0 must not move towards 0 as a whole. */
    shrunken({ min, max }, share) {
      const cut = ((1 - share) / 2) * (max - min);
      return { min: min + cut, max: max - cut };
    },
    // Never −0.
    scaling: (range, rule) => ({ scale: scaleOf(range, rule), zero: toF16(-range.min) || 0 }),
  },
};

/** clamp(round(w/S) + z, 0, top), or clamp(round((w + M)/S), 0, top); top = 2^b − 1. */
export function codeOf(kind: GridKind, scale: number, zero: number, w: number, top: number): number {
  // Of a group whose points are one.
  if (scale === 0) return 0;
  const code = gridKinds[kind].zeros === "real" ? roundHalfEven((w + zero) / scale) : roundHalfEven(w / scale) + zero;
  return clamp(code, 0, top);
}

/** ŵ of the point nearest to w. */
export const nearestPoint = (kind: GridKind, { scale, zero }: Scaling, w: number, top: number): number =>
  pointOf(kind, scale, zero, codeOf(kind, scale, zero, w, top));

const shrinks = 80;

/** One group's scale (rounded to f16, or shorter) and zero; with `mse` those of the shrunken range that errs least. */
export function groupScaling(w: Float64Array, spec: GridSpec): Scaling {
  const { bits, symmetric, kind = "integer-zero", mse = false } = spec;
  const { range, shrunken, scaling } = makers[kind as keyof typeof makers];
  const whole = range(w, symmetric);
  if (!mse) return scaling(whole, spec);
  const candidates = Array.from({ length: shrinks }, (_, i) => scaling(shrunken(whole, 1 - i / 100), spec));
  const top = 2 ** bits - 1;
  let [best, least] = [candidates[0], Number.POSITIVE_INFINITY];
  for (const at of candidates) {
    const error = errorWithin(least, w, kind, at, top);
    if (error < least) [best, least] = [at, error];
  }
  return best;
}

/** Σ |ŵ − w|^2.4; the sum so far where it has reached `least`, and the rest cannot matter. */
function errorWithin(least: number, w: Float64Array, kind: GridKind, at: Scaling, top: number): number {
  let sum = 0;
  for (let i = 0; i < w.length && sum < least; i++) sum += Math.abs(nearestPoint(kind, at, w[i], top) - w[i]) ** 2.4;
  return sum;
}
