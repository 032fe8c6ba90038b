import { expect } from "vitest";
import { createCpuOps } from "../../src/ops/cpu";
import { elements, type Floats, type Ops, type Tensor } from "../../src/ops/ops";

/** The float64 twin that every kernel is held against. */
export const cpu = createCpuOps();

/** Half the distance of neighbouring f32 values, relative: the error of one operation. */
export const ulp = 2 ** -24;

/** Uniform f32 values in (−1, 1), the same in every run (Lehmer's generator). */
export function randoms(seed = 1): (shape: readonly number[]) => Float32Array {
  let state = seed;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  };
  return (shape) => Float32Array.from({ length: elements(shape) }, next);
}

/** What each element may differ by at most: one number for all, or one for each. */
type Bound = number | ArrayLike<number>;

/** Fails with the worst element if any is off by more than its bound, or is not a number. */
export function expectWithin(actual: Floats, expected: Floats, bound: Bound): void {
  expect(actual.length).toBe(expected.length);
  let worst = { excess: 1, i: -1 };
  for (let i = 0; i < expected.length; i++) {
    const allowed = typeof bound === "number" ? bound : bound[i];
    const off = Math.abs(actual[i] - expected[i]);
    const excess = off === 0 ? 0 : off / allowed;
    if (!(excess <= worst.excess)) worst = { excess, i };
  }
  const { excess, i } = worst;
  expect(i < 0 ? "" : `element ${i} is ${actual[i]}, not ${expected[i]}: ${excess.toFixed(1)} times the bound`).toBe("");
}

/** Runs the same operations on both and compares; `bound` sees the float64 twin's values. */
export async function expectTwins(
  gpu: Ops,
  work: (ops: Ops) => Tensor | Tensor[],
  bound: (expected: Floats, index: number) => Bound,
): Promise<void> {
  const [actual, expected] = await Promise.all([gpu, cpu].map((ops) => inScope(ops, () => ops.read([work(ops)].flat()))));
  for (const [i, e] of expected.entries()) expectWithin(actual[i], e, bound(e, i));
}

/** Runs on one Ops and leaves nothing behind. */
export async function inScope<R>(ops: Ops, work: () => Promise<R>): Promise<R> {
  const scope = ops.scope();
  try {
    return await work();
  } finally {
    scope.end();
  }
}

/** In float64, on values: what `work` of the tensors gives. For bounds. */
export async function compute(inputs: [ArrayLike<number>, readonly number[]][], work: (...tensors: Tensor[]) => Tensor): Promise<Floats> {
  return inScope(cpu, async () => (await cpu.read([work(...inputs.map(([data, shape]) => cpu.fromFloats(data, shape)))]))[0]);
}

export const absolute = (x: ArrayLike<number>): Float64Array => Float64Array.from(x, Math.abs);
export const times = (x: Floats, factor: number): Float64Array => Float64Array.from(x, (v) => factor * v);
