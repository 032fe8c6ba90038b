import { expect, it } from "vitest";
import type { Floats } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, expectTwins, expectWithin, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(7);
/** Relative to each value, with a floor far below what the inputs' size allows. */
const relative = (parts: number) => (e: Floats) => Float64Array.from(e, (v) => parts * ulp * (Math.abs(v) + 1e-3));

const shapes = [
  [1, 1],
  [3, 5],
  [7, 31],
  [16, 64],
  [17, 67],
  [130, 192],
];

it.each(shapes)("add, scale, addBias, swiglu of %i × %i", async (rows, n) => {
  const [a, b, bias] = [random([rows, n]), random([rows, n]), random([n])];
  await expectTwins(
    gpu,
    (o) => {
      const [x, y] = [o.fromFloats(a, [rows, n]), o.fromFloats(b, [rows, n])];
      const scaled = o.add(x, y);
      o.scale(scaled, -0.37);
      return [o.add(x, y, -2.5), scaled, o.addBias(x, o.fromFloats(bias, [n]))];
    },
    // Two or three roundings of numbers below 4.
    () => 3 * 4 * ulp,
  );
});

it.each(shapes)("addExactly of %i × %i: sum and rest are a + factor · b to the last bit", async (rows, n) => {
  // Either may be the larger one.
  const [a, b] = [random([rows, n]), random([rows, n]).map((x, i) => x * 2 ** ((i % 41) - 20))];
  const read = async (factor: number) => {
    const { sum, rest } = gpu.addExactly(gpu.fromFloats(a, [rows, n]), gpu.fromFloats(b, [rows, n]), factor);
    return inScope(gpu, () => gpu.read([sum, rest]));
  };
  const [sum, rest] = await read(0.5);
  const exact = Float64Array.from(a, (x, i) => x + 0.5 * b[i]);
  expect(Array.from(sum, (x, i) => x + rest[i])).toEqual([...exact]);
  expect([...sum]).toEqual(Array.from(exact, Math.fround));
  // The product of another factor is rounded.
  const [other, left] = await read(Math.fround(0.3));
  const bound = Float64Array.from(b, (x, i) => ulp * Math.abs(0.3 * x) + 2 ** -52 * Math.abs(a[i]));
  const want = Float64Array.from(a, (x, i) => x + Math.fround(0.3) * b[i]);
  expectWithin(
    Float64Array.from(other, (x, i) => x + left[i]),
    want,
    bound,
  );
});

it("swiglu, from deep saturation to overflow of exp", async () => {
  const gate = Float32Array.of(-1e30, -1000, -100, -88.8, -80, -20, -3, -1e-20, 0, 1e-20, 0.5, 3, 20, 88.8, 100, 1000, 1e30);
  const up = gate.map((_, i) => 1 + i / 16);
  await expectTwins(
    gpu,
    (o) => o.swiglu(o.fromFloats(gate, [1, 17]), o.fromFloats(up, [1, 17])),
    // e^−g: 1 ulp; the sum, the division (2.5 ulp) and two products.
    (e) => Float64Array.from(e, (v) => 2 * 6 * ulp * Math.abs(v) + 1e-30),
  );
  const g = random([33, 67]);
  const u = random([33, 67]);
  await expectTwins(gpu, (o) => o.swiglu(o.fromFloats(g, [33, 67]), o.fromFloats(u, [33, 67])), relative(12));
  const wide = Float32Array.from({ length: 4096 }, (_, i) => 88 - i / 25.6);
  const one = new Float32Array(4096).fill(1);
  // Down to −75, where the result is still a normal number.
  await expectTwins(
    gpu,
    (o) => o.swiglu(o.fromFloats(wide, [1, 4096]), o.fromFloats(one, [1, 4096])),
    (e) => Float64Array.from(e, (v) => 2 * 6 * ulp * Math.abs(v) + 1e-30),
  );
  const [nan] = await gpu.read([gpu.swiglu(gpu.fromFloats([Number.NaN, 1], [2]), gpu.fromFloats([1, Number.NaN], [2]))]);
  expect([...nan]).toEqual([Number.NaN, Number.NaN]);
});

it.each([...shapes, [5, 4096]])("rmsNorm of %i × %i", async (rows, n) => {
  const [x, w] = [random([rows, n]), random([n])];
  // Kahan's sum of squares has the roundings of its terms, however many there are; they are halved by the root. Then sqrt, division and two products.
  await expectTwins(gpu, (o) => o.rmsNorm(o.fromFloats(x, [rows, n]), o.fromFloats(w, [n]), 1e-5), relative(12));
});

it("rmsNorm of equal values, whose plain sum would drift the same way at every step", async () => {
  const x = Float32Array.from({ length: 8 * 4096 }, (_, i) => 0.1 + 0.1 * Math.floor(i / 4096));
  await expectTwins(
    gpu,
    (o) => o.rmsNorm(o.fromFloats(x, [8, 4096]), o.fromFloats(new Float32Array(4096).fill(1), [4096]), 0),
    relative(8),
  );
});

it("rmsNorm errs to neither side: what is systematic no mean over tokens takes away", async () => {
  const shape = [2048, 64];
  const [x, w] = [random(shape), new Float32Array(64).fill(1)];
  const [actual, exact] = await Promise.all(
    [gpu, cpu].map((o) => inScope(o, async () => (await o.read([o.rmsNorm(o.fromFloats(x, shape), o.fromFloats(w, [64]), 1e-5)]))[0])),
  );
  const mean = Float64Array.from(exact, (y, i) => actual[i] / y - 1).reduce((sum, e) => sum + e, 0) / exact.length;
  // 2048 independent factors, each within 2 ulp, scatter by some 2/√2048 of one.
  expect(Math.abs(mean)).toBeLessThan(0.1 * ulp);
});

it("rmsNorm of several heads in a row, and of a zero row", async () => {
  const x = random([5, 48]).fill(0, 0, 16);
  const w = random([16]);
  await expectTwins(gpu, (o) => o.rmsNorm(o.fromFloats(x, [5, 48]), o.fromFloats(w, [16]), 1e-6), relative(20));
});

it.each([
  [1, 2, 1, 1],
  [6, 8, 3, 3],
  [24, 16, 4, 12],
  [26, 128, 2, 13],
])("rope of %i tokens, heads of %i, %i of them, windows of %i", async (T, headDim, heads, length) => {
  const shape = [length, headDim / 2];
  const [x, c, s] = [random([T, headDim * heads]), random(shape), random(shape)];
  await expectTwins(
    gpu,
    (o) => o.rope(o.fromFloats(x, [T, headDim * heads]), o.fromFloats(c, shape), o.fromFloats(s, shape), { headDim, length }),
    () => 3 * 2 * ulp,
  );
});

it.each(shapes)("scaleColumns, scaleRows, affine of %i × %i", async (rows, n) => {
  const [a, columns, each] = [random([rows, n]), random([n]).map((x) => x + 2), random([rows]).map((x) => x + 2)];
  await expectTwins(
    gpu,
    (o) => {
      const [A, c, r] = [o.fromFloats(a, [rows, n]), o.fromFloats(columns, [n]), o.fromFloats(each, [rows])];
      return [o.scaleColumns(A, c), o.scaleColumns(A, c, true), o.scaleRows(A, r), o.scaleRows(A, r, true), o.affine(A, -2, 0.3, -1, 1.5)];
    },
    (e, i) => (i === 4 ? 6 * ulp : Float64Array.from(e, (v) => 6 * ulp * Math.abs(v))), // WGSL divides to 2.5 ulp
  );
});

it("affine with open ends", async () => {
  const [y] = await gpu.read([
    gpu.affine(gpu.fromFloats([-3e38, 0, 3e38], [3]), 1, 1, -Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
  ]);
  expect([...y]).toEqual([Math.fround(-3e38), 1, Math.fround(3e38)]);
});

it.each([
  [1, 1],
  [63, 17],
  [64, 16],
  [1000, 67],
])("addColumnSums over %i rows of %i", async (rows, n) => {
  const x = random([rows, n]);
  await expectTwins(
    gpu,
    (o) => {
      const [sums, X] = [o.zeros([n]), o.fromFloats(x, [rows, n])];
      o.addColumnSums(sums, X);
      o.addColumnSums(sums, X);
      return sums;
    },
    // Positive terms in runs of 64.
    (e) => Float64Array.from(e, (v) => (64 + rows / 64 + 3) * ulp * v),
  );
});

it.each([1, 4095, 4096, 4097, 9001])("squaredDifference and innerProducts of %i elements", async (n) => {
  const [a, b] = [random([n]), random([n])];
  const [A, B] = [gpu.fromFloats(a, [n]), gpu.fromFloats(b, [n])];
  const partial = await gpu.read([gpu.squaredDifference(A, B), gpu.innerProducts(A, B)]);
  const total = (sums: Floats, column: number) => Array.from(sums).reduce((sum, v, i) => sum + (i % 2 === column ? v : 0), 0);
  const reduce = (term: (x: number, y: number) => number) => a.reduce((sum, x, i) => sum + term(x, b[i]), 0);
  // At most 4096 terms in a run, relative to the sum of their sizes.
  const bound = (Math.min(n, 4096) + 4) * ulp;
  const near = (actual: number, term: (x: number, y: number) => number) =>
    expect(Math.abs(actual - reduce(term))).toBeLessThanOrEqual(bound * reduce((x, y) => Math.abs(term(x, y))));
  near(total(partial[0], 0), (x, y) => (x - y) ** 2);
  near(total(partial[0], 1), (x) => x ** 2);
  near(total(partial[1], 0), (x, y) => x * y);
  near(total(partial[1], 1), (_, y) => y ** 2);
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const [a, b] = [gpu.zeros([2, 3]), gpu.zeros([2, 4])];
  expect(() => gpu.add(a, b)).toThrow("add got 2 × 3 and 2 × 4");
  expect(() => gpu.swiglu(a, b)).toThrow("swiglu got 2 × 3 and 2 × 4");
  expect(() => gpu.addBias(a, b)).toThrow("addBias got 2 × 3 and 2 × 4");
  expect(() => gpu.squaredDifference(a, b)).toThrow("squaredDifference got");
  expect(() => gpu.innerProducts(a, b)).toThrow("innerProducts got");
  expect(() => gpu.scaleColumns(a, b)).toThrow("scaleColumns got 2 × 3 and 2 × 4");
  expect(() => gpu.scaleRows(a, gpu.zeros([3]))).toThrow("scaleRows got 2 × 3 and 3");
  expect(() => gpu.addColumnSums(gpu.zeros([2]), a)).toThrow("addColumnSums got 2 × 3 into 2");
  expect(() => gpu.rmsNorm(a, gpu.zeros([4]), 1e-5)).toThrow("rmsNorm got 2 × 3 and 4");
  expect(() => gpu.rope(a, b, b, { headDim: 2, length: 1 })).toThrow("rope got 2 × 3 with heads of 2");
  scope.end();
});

it.each(shapes)("everyRow of %i × %i: the rows themselves", async (rows, n) => {
  const x = random([rows, n]);
  const last = rows - 1;
  await expectTwins(
    gpu,
    (o) => {
      const t = o.fromFloats(x, [rows, n]);
      return [o.everyRow(t, 0, 2), o.everyRow(t, last, 3), o.everyRow(t, 0, 1, Math.ceil(rows / 2)), o.everyRow(t, last % 2, 2, 1)];
    },
    () => 0,
  );
  for (const o of [gpu, cpu]) expect(() => o.everyRow(o.zeros([rows, n]), 0, 1, rows + 1)).toThrow("everyRow got");
});
