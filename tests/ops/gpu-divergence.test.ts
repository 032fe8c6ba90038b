/** KL(p‖q) over slices of the vocabulary: the reference against softmaxes in float64, the kernel within a bound that follows its roundings. */
import { describe, expect, it } from "vitest";
import { divergenceColumns, readDivergence, type TokenDivergence } from "../../src/ops/divergence";
import type { Ops } from "../../src/ops/ops";
import { openGpuOps, openHardwareOps } from "../support/gpu";
import { cpu, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const gpus = [gpu, await openHardwareOps()];
const random = randoms(17);

interface Pair {
  x: Float32Array;
  y: Float32Array;
  targets: number[];
  /** Sizes of the slices, in order. */
  slices: number[];
}

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
const vocabularyOf = ({ slices }: Pair) => sum(slices);
const rowOf = (values: Float32Array, t: number, pair: Pair) => values.subarray(t * vocabularyOf(pair), (t + 1) * vocabularyOf(pair));

/** The state of every token after all slices. */
function statesOn(ops: Ops, pair: Pair): Promise<ArrayLike<number>[]> {
  const { x, y, targets, slices } = pair;
  const [T, vocabulary] = [targets.length, vocabularyOf(pair)];
  return inScope(ops, async () => {
    const state = ops.divergenceStart(T);
    const want = ops.fromUints(targets, [T]);
    let offset = 0;
    for (const n of slices) {
      const part = (of: Float32Array) =>
        ops.fromFloats(
          Float32Array.from({ length: T * n }, (_, i) => of[Math.floor(i / n) * vocabulary + offset + (i % n)]),
          [T, n],
        );
      ops.divergenceUpdate(state, part(x), part(y), want, offset);
      offset += n;
    }
    const [values] = await ops.read([state]);
    return targets.map((_, t) => values.subarray(t * divergenceColumns, (t + 1) * divergenceColumns));
  });
}

const logSoftmax = (z: Float32Array): Float64Array => {
  const top = z.reduce((a, b) => Math.max(a, b));
  const total = Math.log(sum(Float64Array.from(z, (v) => Math.exp(v - top)))) + top;
  return Float64Array.from(z, (v) => v - total);
};

/** By the definition. */
function directly(pair: Pair, t: number): TokenDivergence {
  const [xs, ys] = [rowOf(pair.x, t, pair), rowOf(pair.y, t, pair)];
  const [p, q] = [logSoftmax(xs), logSoftmax(ys)];
  const first = (z: Float32Array) => z.indexOf(z.reduce((a, b) => Math.max(a, b)));
  return {
    before: -p[pair.targets[t]],
    after: -q[pair.targets[t]],
    kl: sum(p.map((lp, j) => Math.exp(lp) * (lp - q[j]))),
    sameTop: first(xs) === first(ys),
  };
}

/** A value and the most that the kernel's may differ from it. */
type Value = [value: number, error: number];
const plus = (...values: Value[]): Value => {
  const total = sum(values.map(([v]) => v));
  return [total, sum(values.map(([, e]) => e)) + ulp * Math.abs(total)];
};
const by = ([a, ea]: Value, [b, eb]: Value): Value => [a * b, Math.abs(a) * eb + Math.abs(b) * ea + ulp * Math.abs(a * b)];
const minus = (a: Value, [b, eb]: Value): Value => plus(a, [-b, eb]);
/** near_exp is good to one ulp, which is two roundings; below −87 it stays at e⁻⁸⁷. */
const exp = ([a, ea]: Value): Value => [Math.exp(a), Math.exp(a) * (2 * ulp + ea) + 2e-38];
/** As the kernel's `rest`: by exp_rest (good to 2⁻²², tested in gpu-shared.test.ts) near 0, else by a difference. */
function rest(weight: Value, product: Value, delta: Value): Value {
  const exact = weight[0] * (Math.expm1(delta[0]) - delta[0]);
  if (Math.abs(delta[0]) > 0.35) return [exact, minus(product, by(weight, plus([1, 0], delta)))[1]];
  const part = Math.expm1(delta[0]) - delta[0];
  const slope = Math.abs(Math.expm1(delta[0]));
  return [exact, by(weight, [part, part * 2 ** -22 + slope * delta[1]])[1]];
}

const exactly = (value: number): Value => [value, 0];

/** The kernel's recurrence in float64, with every rounding that it may do: the bound of each of its results. */
function bounds(pair: Pair, t: number): { before: number; after: number; kl: number } {
  const [xs, ys] = [rowOf(pair.x, t, pair), rowOf(pair.y, t, pair)];
  let [xa, ya, yb] = [Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY];
  let sums: Value[] = [0, 1, 2, 3].map(() => exactly(0));
  let offset = 0;
  for (const n of pair.slices) {
    const old = { xa, r: Math.max(ya, yb - 40) };
    for (let j = offset; j < offset + n; j++) {
      if (xs[j] > xa) [xa, ya] = [xs[j], ys[j]];
      yb = Math.max(yb, ys[j]);
    }
    const r = Math.max(ya, yb - 40);
    const [top, reference] = [exactly(xa), [r, r === ya ? 0 : ulp * Math.abs(r)] as Value];
    const shift = minus(reference, top);
    const terms: Value[][] = [[], [], [], []];
    for (let j = offset; j < offset + n; j++) {
      const [weight, product] = [exp(minus(exactly(xs[j]), top)), exp(minus(exactly(ys[j]), reference))];
      const delta = minus(minus(exactly(ys[j]), exactly(xs[j])), shift);
      for (const [i, term] of [weight, product, by(weight, delta), rest(weight, product, delta)].entries()) terms[i].push(term);
    }
    // A term is in a short sum of up to 64, in that of n/256 such sums at most, in two of four columns and in seven of lanes.
    const additions = Math.min(64, Math.ceil(n / 4)) + Math.ceil(n / 256) + 9;
    const fresh = terms.map((of): Value => [sum(of.map(([v]) => v)), sum(of.map(([v, e]) => e + additions * ulp * Math.abs(v)))]);
    sums = offset === 0 ? fresh : moved(sums, old, top, reference, shift).map((value, i) => plus(value, fresh[i]));
    offset += n;
  }
  return ofSums(sums);
}

function moved([P, Q, D, G]: Value[], old: { xa: number; r: number }, top: Value, reference: Value, shift: Value): Value[] {
  const oldReference: Value = [old.r, ulp * Math.abs(old.r)];
  const change = minus(minus(oldReference, exactly(old.xa)), shift);
  const [fall, drop] = [exp(minus(exactly(old.xa), top)), exp(minus(oldReference, reference))];
  const over = rest(fall, drop, change);
  const rise = plus(by(fall, change), over);
  return [by(fall, P), by(drop, Q), by(fall, plus(D, by(change, P))), plus(by(drop, G), by(over, P), by(rise, D))];
}

/** How far errors of the sums move the results: first derivatives, and a hundredth more for the others. */
function ofSums([[P, eP], [Q, eQ], [D, eD], [G, eG]]: Value[]) {
  const near = Math.abs((G + D) / P) <= 0.5;
  const all = P + G + D;
  const errors = near
    ? [Math.abs(1 / all - 1 / P + D / P ** 2) * eP, Math.abs(1 / all - 1 / P) * eD, eG / all]
    : [eQ / Q, Math.abs(D / P - 1) * (eP / P), eD / P];
  return { before: 1.01 * (eP / P), after: 1.01 * (eQ / Q), kl: 1.01 * sum(errors) + 1e-14 };
}

interface Checked {
  direct: TokenDivergence;
  bound: number;
}

async function check(pair: Pair): Promise<Checked[]> {
  const onCpu = await statesOn(cpu, pair);
  let checked: Checked[] = [];
  for (const each of gpus) checked = compared(pair, await statesOn(each, pair), onCpu);
  return checked;
}

function compared(pair: Pair, onGpu: ArrayLike<number>[], onCpu: ArrayLike<number>[]): Checked[] {
  return pair.targets.map((_, t) => {
    const [actual, reference, direct, bound] = [readDivergence(onGpu[t]), readDivergence(onCpu[t]), directly(pair, t), bounds(pair, t)];
    expect(actual.sameTop).toBe(direct.sameTop);
    expect(reference.sameTop).toBe(direct.sameTop);
    // Of the definition itself the softmaxes' logarithms are as good as float64 makes the logits.
    const float64 = 2 ** -46 * (1 + rowOf(pair.x, t, pair).reduce((most, v) => Math.max(most, Math.abs(v)), 0)) + 1e-12 * direct.kl;
    for (const what of ["before", "after", "kl"] as const) {
      expect(Math.abs(reference[what] - direct[what]), `the reference's ${what}`).toBeLessThan(float64 + 1e-12 * Math.abs(direct[what]));
      expect(Math.abs(actual[what] - direct[what]), `the kernel's ${what}`).toBeLessThanOrEqual(
        bound[what] + float64 + 1e-12 * Math.abs(direct[what]),
      );
    }
    return { direct, bound: bound.kl };
  });
}

/** Logits of spread `scale`, and others that differ by `noise` and by a number that is the same for all. */
function near(T: number, slices: number[], scale: number, noise: number, common = 0): Pair {
  const vocabulary = sum(slices);
  const x = random([T, vocabulary]).map((v) => scale * v);
  const differences = random([T, vocabulary]);
  const y = x.map((v, i) => v + noise * differences[i] + common);
  return { x, y, targets: Array.from({ length: T }, (_, t) => (t * 31) % vocabulary), slices };
}

describe.each([
  [1, [1]],
  [5, [7, 1, 64]],
  [33, [67, 130]],
  [17, [1000]],
  [3, [5000, 3000, 77]],
])("%i tokens, vocabulary in slices of %j", (T, slices) => {
  it.each([
    [10, 10, 0],
    [12, 1, 3],
    [12, 0.1, 0],
    [20, 0.01, -5],
    [1, 0.001, 0],
  ])("logits within ±%d that differ by up to %d, and by %d all of them", async (scale, noise, common) => {
    await check(near(T, slices, scale, noise, common));
  });
});

it("a divergence far below what f32 holds beside 1 is right to a few digits", async () => {
  const all = await check(near(40, [500, 500, 500], 12, 1e-3));
  for (const { direct, bound } of all) {
    expect(direct.kl).toBeLessThan(4e-7);
    expect(bound / direct.kl).toBeLessThan(0.05);
  }
});

it("of equal logits it is exactly 0, and the same token is on top", async () => {
  const pair = near(20, [50, 7, 300], 10, 0);
  for (const ops of [...gpus, cpu])
    for (const state of await statesOn(ops, pair)) {
      const { kl, sameTop, before, after } = readDivergence(state);
      expect([kl, sameTop]).toEqual([0, true]);
      expect(after).toBe(before);
    }
});

it("of equally likely tokens the first is on top, in whichever slices and lanes they are", async () => {
  const row = (...tops: number[]) => Float32Array.from({ length: 300 }, (_, j) => (tops.includes(j) ? 3 : 0));
  const x = [row(290, 7), row(150, 149), row(0, 299), row(40), row(200, 201)];
  const y = [row(7, 8), row(150, 200), row(1, 0), row(41), row(201, 202)];
  const flat = (rows: Float32Array[]) => Float32Array.from(rows.flatMap((r) => [...r]));
  const pair = { x: flat(x), y: flat(y), targets: [0, 1, 2, 3, 4], slices: [100, 50, 150] };
  const tops = [true, false, true, false, false];
  for (const ops of [...gpus, cpu]) expect((await statesOn(ops, pair)).map((s) => readDivergence(s).sameTop)).toEqual(tops);
  await check(pair);
});

it("logits far apart, and slices with rising and falling maxima", async () => {
  const x = Float32Array.of(-5e3, 0, 5e3, 5e3, -5e3, 1, 100, -100, 99, 98, 97, 100, 0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0);
  const y = Float32Array.of(5e3, 0, -5e3, 5e3, -5e3, 1, -100, 100, 99, 98, 97, -100, 5, 4, 3, 2, 1, 0, 300, 0, 0, -300, 0, 200);
  for (const slices of [[6], [2, 1, 3], [1, 1, 1, 1, 1, 1]]) await check({ x, y, targets: [2, 1, 0, 5], slices });
});

it("a token that the second model all but excludes, and one that only it expects", async () => {
  const at = (j: number, high: number) => Float32Array.from({ length: 256 }, (_, i) => (i === j ? high : 0));
  for (const high of [1, 30, 60, 85, 120, 400]) {
    const pair = { x: Float32Array.from([...at(3, high), ...at(200, 0)]), y: Float32Array.from([...at(3, -high), ...at(200, high)]) };
    for (const slices of [[256], [128, 128], [200, 56]]) await check({ ...pair, targets: [3, 200], slices });
  }
});

it("what is not a number stays none", async () => {
  for (const [bad, which] of [
    [Number.NaN, "x"],
    [Number.POSITIVE_INFINITY, "x"],
    [Number.NaN, "y"],
    [Number.POSITIVE_INFINITY, "y"],
  ] as const) {
    const pair = near(3, [40, 40], 5, 0.1);
    pair[which][80 + 60] = bad;
    const read = (await statesOn(gpu, pair)).map(readDivergence);
    expect(read.map(({ kl, before, after }) => [kl, before, after].every(Number.isFinite))).toEqual([true, false, true]);
  }
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const state = gpu.divergenceStart(3);
  const targets = gpu.fromUints([0, 0, 0], [3]);
  const five = () => gpu.zeros([3, 5]);
  expect(() => gpu.divergenceUpdate(state, gpu.zeros([4, 5]), five(), targets, 0)).toThrow("divergenceUpdate got 3 × 11 and 4 × 5");
  expect(() => gpu.divergenceUpdate(state, five(), gpu.zeros([3, 6]), targets, 0)).toThrow("divergenceUpdate got");
  expect(() => gpu.divergenceUpdate(state, five(), five(), gpu.zeros([3]), 0)).toThrow("divergenceUpdate got");
  scope.end();
});
