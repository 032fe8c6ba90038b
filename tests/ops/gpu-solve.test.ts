import { describe, expect, it } from "vitest";
import type { Floats, Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { absolute, compute, cpu, expectTwins, expectWithin, inScope, randoms, times, ulp } from "./helpers";

const variants = { tiled: await openGpuOps({ matmul: "tiled" }), auto: await openGpuOps() };
const random = randoms(17);
const sizes = [1, 2, 31, 32, 33, 64, 67, 96, 101, 128, 257];

/** A damped H of 2n tokens with one loud input, as values. */
async function positiveDefinite(n: number, fraction = 0.01): Promise<Float32Array> {
  const x = random([2 * n, n]).map((v, i) => (i % n === 0 ? 30 * v : v));
  const A = await compute([[x, [2 * n, n]]], (X) => {
    const H = cpu.zeros([n, n]);
    cpu.gram(H, X);
    cpu.mirror(H);
    cpu.damp(H, fraction);
    return H;
  });
  return Float32Array.from(A);
}

const factor = (ops: Ops, A: Float32Array, n: number) =>
  inScope(ops, async () => {
    const L = ops.fromFloats(A, [n, n]);
    const status = ops.cholesky(L);
    return ops.read([L, status]);
  });

/** a · b or a · bᵀ of values in float64. */
const product = (a: ArrayLike<number>, b: ArrayLike<number>, n: number, transposed = false) =>
  compute(
    [
      [a, [a.length / n, n]],
      [b, [n, n]],
    ],
    (x, y) => (transposed ? cpu.linear(x, y) : cpu.matmul(x, y)),
  );

const isLower = (L: Floats, n: number) => L.every((v, i) => i % n <= Math.floor(i / n) || v === 0);

describe.each(Object.entries(variants))("%s", (_, gpu) => {
  // Higham, Accuracy and Stability, 10.1: |A − L Lᵀ| ≤ γ(n + 1) |L||Lᵀ|. Multiplying by the inverse of a 32 × 32 block in place of
  // substitution costs that block's condition, which damping keeps small: a factor 4 in all.
  it.each(sizes)("cholesky of %i: the residual", async (n) => {
    const A = await positiveDefinite(n);
    const [L, status] = await factor(gpu, A, n);
    expect([...status]).toEqual([0]);
    expect(isLower(L, n)).toBe(true);
    const bound = times(await product(absolute(L), absolute(L), n, true), 4 * (n + 1) * ulp);
    expectWithin(await product(L, L, n, true), A, bound);
  });

  it.each(sizes)("solveRight of %i", async (n) => {
    const U = random([n, n]).map((v, i) => (i % n >= Math.floor(i / n) ? v : 0));
    const y = random([19, n]);
    // Two products of n terms; the first one's error passes through the second.
    const size = await product(await product(absolute(y), absolute(U), n, true), absolute(U), n);
    await expectTwins(
      gpu,
      (o) => [o.solveRight(o.fromFloats(U, [n, n]), o.fromFloats(y, [19, n]))],
      () => times(size, 2 * (n + 1) * ulp),
    );
  });

  it.each(sizes)("invertTriangle of %i: the residual", async (n) => {
    const A = await positiveDefinite(n);
    const [L] = await factor(cpu, A, n);
    const rounded = Float32Array.from(L);
    const [X] = await inScope(gpu, () => {
      const inverted = gpu.fromFloats(rounded, [n, n]);
      gpu.invertTriangle(inverted);
      return gpu.read([inverted]);
    });
    expect(isLower(X, n)).toBe(true);
    const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
    const bound = times(await product(absolute(rounded), absolute(X), n), 4 * (n + 1) * ulp);
    expectWithin(await product(rounded, X, n), identity, bound);
  });

  it.each([
    [1, 0],
    [40, 0],
    [40, 31],
    [40, 32],
    [101, 77],
    [101, 100],
  ])("cholesky of %i with a bad pivot at %i says so and stays finite", async (n, bad) => {
    for (const value of [-1, 0]) {
      const A = await positiveDefinite(n);
      for (let k = 0; k < n; k++) A[bad * n + k] = A[k * n + bad] = 0;
      A[bad * n + bad] = value;
      const [L, status] = await factor(gpu, A, n);
      expect([...status]).toEqual([bad + 1]);
      expect(L.every(Number.isFinite)).toBe(true);
    }
  });

  it("cholesky of NaN and infinity says so", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const A = await positiveDefinite(70);
      A[50 * 70 + 50] = value;
      expect([...(await factor(gpu, A, 70))[1]]).toEqual([51]);
    }
  });
});

const gpu = variants.auto;

it.each([1, 5, 64, 67])("dead inputs, damping and zeroed columns of %i", async (n) => {
  const dead = (j: number) => n > 1 && j % 3 === 1;
  const x = random([2 * n, n]).map((v, i) => (dead(i % n) ? 0 : v));
  const H = Float32Array.from(
    await compute([[x, [2 * n, n]]], (X) => {
      const G = cpu.zeros([n, n]);
      cpu.gram(G, X);
      cpu.mirror(G);
      return G;
    }),
  );
  const w = random([7, n]);
  const flags = await gpu.readUints(gpu.deadInputs(gpu.fromFloats(H, [n, n])));
  expect([...flags]).toEqual(Array.from({ length: n }, (_, j) => (dead(j) ? 1 : 0)));
  await expectTwins(
    gpu,
    (o) => {
      const G = o.fromFloats(H, [n, n]);
      const damped = (fraction: number, dead: "lifted" | "kept") => {
        const A = o.fromFloats(H, [n, n]);
        o.damp(A, fraction, dead);
        return A;
      };
      const zeroed = o.deadInputs(G);
      return [damped(0.01, "lifted"), damped(0, "lifted"), damped(0.01, "kept"), o.zeroColumns(o.fromFloats(w, [7, n]), zeroed)];
    },
    // The mean: n positive terms and a division; the rest is copied.
    (e, i) => (i === 3 ? 0 : Float64Array.from(e, (v) => (n + 6) * ulp * Math.abs(v))),
  );
});

it.each([1, 5, 67])("diagonal and keepStrictUpper of %i", async (n) => {
  const A = random([n, n]);
  await expectTwins(
    gpu,
    (o) => {
      const upper = o.fromFloats(A, [n, n]);
      o.keepStrictUpper(upper);
      return [o.diagonal(o.fromFloats(A, [n, n])), upper];
    },
    () => 0,
  );
});

it("an H of zeros is damped to (1 + fraction) I", async () => {
  const H = gpu.zeros([3, 3]);
  gpu.damp(H, 0.5);
  const [A] = await gpu.read([H]);
  expect([...A]).toEqual([1.5, 0, 0, 0, 1.5, 0, 0, 0, 1.5]);
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const [H, y] = [gpu.zeros([4, 4]), gpu.zeros([3, 5])];
  const dead = gpu.fromUints([0, 0, 0, 0, 0], [5]);
  expect(() => gpu.cholesky(y)).toThrow("cholesky got 3 × 5");
  expect(() => gpu.solveRight(H, y)).toThrow("solveRight got 4 × 4 and 3 × 5");
  expect(() => gpu.invertTriangle(y)).toThrow("invertTriangle got 3 × 5");
  expect(() => gpu.damp(y, 0.1)).toThrow("damp got 3 × 5");
  expect(() => gpu.zeroColumns(H, dead)).toThrow("zeroColumns got 4 × 4 and dead inputs of 5");
  expect(() => gpu.deadInputs(y)).toThrow("deadInputs got 3 × 5");
  expect(() => gpu.diagonal(y)).toThrow("diagonal got 3 × 5");
  expect(() => gpu.keepStrictUpper(y)).toThrow("keepStrictUpper got 3 × 5");
  scope.end();
});
