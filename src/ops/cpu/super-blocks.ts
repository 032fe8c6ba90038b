/** One super-block of a GGUF K-quant: its groups' fits, and the small integers and f16 factors that stand for them. Float64. */
import { toF16 } from "../../io/dtype";
import { type SuperKind, superKinds } from "../grid-kinds";
import { clamp, roundHalfEven } from "./groups";
import { affineFit, errorOf, type Fit, nearest, signedFit } from "./search";

/** S = d·s and M = dmin·m of each group; without mins, M = S·2^(b−1). */
export interface SuperBlock {
  d: number;
  dmin: number;
  scales: number[];
  mins: number[];
}

/** A super-block's groups: weights x, and the weights w of their squared errors. */
type Groups = { x: Float64Array; w: Float64Array }[];

/** The points of one super-block with a small Σ w·(x − ŵ)²: fits of single groups, brought onto common factors, and then the integers moved by one where that helps. */
export function superBlock(kind: SuperKind, groups: Groups): SuperBlock {
  return superKinds[kind].mins ? withMins(kind, groups) : withoutMins(kind, groups);
}

function withMins(kind: SuperKind, groups: Groups): SuperBlock {
  const { bits, scales: bounds } = superKinds[kind];
  const top = 2 ** bits - 1;
  const fits = groups.map(({ x, w }) => affineFit(x, w, top));
  const d = common(
    fits.map((fit) => fit.scale),
    groups.map(({ x, w }, g) => scaleWeight(x, w, top, fits[g])),
    bounds[1],
  );
  const dmin = common(
    fits.map((fit) => fit.min),
    groups.map(({ w }) => total(w)),
    bounds[1],
  );
  const made: SuperBlock = { d, dmin, scales: [], mins: [] };
  for (const [g, { x, w }] of groups.entries()) {
    const start = [stepsOf(fits[g].scale, d, bounds), stepsOf(fits[g].min, dmin, bounds)];
    const [s, m] = best(around(start, bounds), ([s, m]) => errorOf(x, w, top, { scale: d * s, min: dmin * m }));
    made.scales.push(s);
    made.mins.push(m);
  }
  return made;
}

function withoutMins(kind: SuperKind, groups: Groups): SuperBlock {
  const { bits, scales: bounds } = superKinds[kind];
  const half = 2 ** (bits - 1);
  const fits = groups.map(({ x, w }) => signedFit(x, w, half));
  const weights = groups.map(({ x, w }, g) => scaleWeight(x, w, 2 * half - 1, { scale: fits[g], min: fits[g] * half }, half));
  const d = toF16(signedFit(fits, weights, -bounds[0]));
  const scales = groups.map(({ x, w }, g) => {
    const [s] = best(around([stepsOf(fits[g], d, bounds)], bounds), ([s]) =>
      errorOf(x, w, 2 * half - 1, { scale: d * s, min: d * s * half }),
    );
    return s;
  });
  return { d, dmin: 0, scales, mins: [] };
}

const total = (w: Float64Array): number => w.reduce((a, b) => a + b, 0);

/** Σ w·code²: how much a squared error of the scale weighs. */
function scaleWeight(x: Float64Array, w: Float64Array, top: number, { scale, min }: Fit, offset = 0): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += w[i] * (nearest(x[i], scale, min, top) - offset) ** 2;
  return sum;
}

/** An f16 d with a small Σ weight·(value − d·s)² over s = 0 … top, all values at least 0. */
function common(values: readonly number[], weights: readonly number[], top: number): number {
  const most = Math.max(...values);
  if (most === 0) return 0;
  let [found, least] = [most / top, Number.POSITIVE_INFINITY];
  for (let k = -9; k <= 9; k++) {
    const d = commonRefit(values, weights, top, most / (top + 0.1 * k));
    const error = values.reduce((sum, v, g) => sum + weights[g] * (v - d * nearest(v, d, 0, top)) ** 2, 0);
    if (error < least) [found, least] = [d, error];
  }
  return toF16(found);
}

function commonRefit(values: readonly number[], weights: readonly number[], top: number, d: number): number {
  let [sl, sll] = [0, 0];
  for (const [g, v] of values.entries()) {
    const s = nearest(v, d, 0, top);
    sl += weights[g] * s * v;
    sll += weights[g] * s * s;
  }
  return sll > 0 ? sl / sll : d;
}

const stepsOf = (value: number, d: number, [low, high]: readonly [number, number]): number =>
  d === 0 ? 0 : clamp(roundHalfEven(value / d), low, high);

/** The integers at most one away from these in each place. */
const around = (start: readonly number[], [low, high]: readonly [number, number]): number[][] =>
  start.reduce<number[][]>(
    (lists, at) => lists.flatMap((list) => [at, at - 1, at + 1].filter((i) => i >= low && i <= high).map((i) => [...list, i])),
    [[]],
  );

/** The first of those with the least error. */
function best(candidates: number[][], errorOf: (candidate: number[]) => number): number[] {
  const errors = candidates.map(errorOf);
  return candidates[errors.indexOf(Math.min(...errors))];
}
