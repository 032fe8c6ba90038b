import { expect, it } from "vitest";
import { openGpuOps } from "../support/gpu";
import { cpu, expectWithin, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(13);

/** nll of every token, the vocabulary seen in slices of the given sizes. */
async function losses(ops: typeof cpu, logits: Float32Array, targets: number[], slices: number[]): Promise<number[]> {
  const T = targets.length;
  const vocabulary = slices.reduce((a, b) => a + b, 0);
  const scope = ops.scope();
  const state = ops.crossEntropyStart(T);
  const want = ops.fromUints(targets, [T]);
  let offset = 0;
  for (const n of slices) {
    const part = Float32Array.from({ length: T * n }, (_, i) => logits[Math.floor(i / n) * vocabulary + offset + (i % n)]);
    ops.crossEntropyUpdate(state, ops.fromFloats(part, [T, n]), want, offset);
    offset += n;
  }
  const [values] = await ops.read([state]);
  scope.end();
  return targets.map((_, t) => values[3 * t] + Math.log(values[3 * t + 1]) - values[3 * t + 2]);
}

it.each([
  [1, [1]],
  [5, [7, 1, 64]],
  [33, [67, 130]],
  [17, [1000]],
])("%i tokens, vocabulary in slices of %j", async (T, slices) => {
  const vocabulary = slices.reduce((a, b) => a + b, 0);
  const logits = random([T, vocabulary]).map((x) => 10 * x);
  const targets = Array.from({ length: T }, (_, t) => (t * 31) % vocabulary);
  const [actual, expected] = [await losses(gpu, logits, targets, slices), await losses(cpu, logits, targets, slices)];
  // ln turns the sum's relative error into an absolute one: one rounding a term, exp's 3 + 2·20 ulp, one more exp a slice.
  const bound = (Math.max(...slices) + 2 * 43 * (slices.length + 1) + 8) * ulp;
  expectWithin(Float64Array.from(actual), Float64Array.from(expected), bound);
});

it("logits far apart, and slices with rising and falling maxima", async () => {
  const logits = Float32Array.of(-5e3, 0, 5e3, 5e3, -5e3, 1, 100, -100, 99, 98, 97, 100);
  const targets = [2, 1];
  const [actual, expected] = [await losses(gpu, logits, targets, [2, 1, 3]), await losses(cpu, logits, targets, [2, 1, 3])];
  // The losses themselves are differences of numbers up to 5000.
  expectWithin(Float64Array.from(actual), Float64Array.from(expected), 300 * ulp * 10);
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const state = gpu.crossEntropyStart(3);
  const targets = gpu.fromUints([0, 0, 0], [3]);
  expect(() => gpu.crossEntropyUpdate(state, gpu.zeros([4, 5]), targets, 0)).toThrow("crossEntropyUpdate got 3 × 3 and 4 × 5");
  expect(() => gpu.crossEntropyUpdate(state, gpu.zeros([3, 5]), gpu.zeros([3]), 0)).toThrow("crossEntropyUpdate got");
  scope.end();
});
