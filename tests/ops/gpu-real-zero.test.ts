import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/io/dtype";
import type { Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, expectTwins, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(37);
const spec = (bits: number, groupSize = -1, mse = false) => ({ bits, groupSize, symmetric: false, kind: "real-zero" as const, mse });

/** Rows of `size` equal weights. */
const rowsOf = (values: readonly number[], size: number) =>
  Float32Array.from({ length: values.length * size }, (_, i) => values[Math.floor(i / size)]);

describe("the offset M is −min rounded to f16, half to even", () => {
  /** M of rows of one weight each. */
  const offsets = (W: readonly number[], rest: readonly number[] = W.map(() => 0)) =>
    inScope(gpu, async () => {
      const shape = [W.length, 1];
      return [...(await gpu.read([gpu.grid(gpu.fromFloats(W, shape), spec(4), gpu.fromFloats(rest, shape)).zeros]))[0]];
    });
  const halves = Array.from({ length: 600 }, (_, i) => toF16((i + 1) * 2 ** -24 * 1.9 ** (i / 20)));
  const middles = halves.map((h) => {
    const step = Math.max(2 ** (Math.floor(Math.log2(h)) - 10), 2 ** -24);
    return Math.fround(h + step / 2);
  });

  it("at midpoints and beside them, of both signs", async () => {
    const W = middles.flatMap((m) => [m, Math.fround(m * (1 + 2 ** -23)), Math.fround(m * (1 - 2 ** -23))]).flatMap((m) => [m, -m]);
    expect(await offsets(W)).toEqual(W.map((w) => toF16(-w)));
  });

  it("at midpoints that only W's rest decides", async () => {
    const W = middles.flatMap((m) => [m, -m, m, -m]);
    const rest = W.map((w, i) => (i % 4 < 2 ? 1 : -1) * w * 2 ** -26);
    expect(await offsets(W, rest)).toEqual(W.map((w, i) => toF16(-(w + Math.fround(rest[i])))));
  });

  it("and infinite beyond f16", async () => {
    expect(await offsets([65519, -65519, 65520, -65520, 3e38])).toEqual([-65504, 65504, -Infinity, Infinity, -Infinity]);
  });
});

/** S, M and codes; and ŵ, of which f32 keeps the nearest. */
async function expectExact(W: Float32Array, [out, n]: readonly [number, number], bits: number, groupSize: number) {
  const work = async (o: Ops) =>
    inScope(o, async () => {
      const w = o.fromFloats(W, [out, n]);
      const g = o.grid(w, spec(bits, groupSize));
      const codes = o.encode(w, g, bits);
      const [scales, zeros, values, rounded] = await o.read([g.scales, g.zeros, o.decode(codes, g), o.decode(codes, g, undefined, true)]);
      return {
        scales: [...scales],
        zeros: [...zeros],
        values: Array.from(values, Math.fround),
        rounded: [...rounded],
        codes: [...(await o.readUints(codes))],
      };
    });
  const [actual, expected] = [await work(gpu), await work(cpu)];
  expect(actual).toEqual(expected);
  return actual;
}

describe.each([
  [1, 1, -1],
  [3, 7, -1],
  [5, 96, 32],
  [67, 64, 64],
  [130, 128, 4],
] as const)("grid, encode and decode of %i × %i in groups of %i", (out, n, groupSize) => {
  it.each([2, 3, 4, 5, 8])("are exact with %i bits", async (bits) => {
    const shape = [out, n] as const;
    const noise = random(shape);
    for (const W of [
      noise.map((x, i) => (i % 13 === 0 ? 50 * x : 1e-3 * x)),
      noise.map((x) => Math.abs(x) + 0.1),
      noise.map((x) => -5000 + 0.01 * x),
      noise.map((x, i) => 3 + x * 2 ** -(i % 20)),
    ])
      await expectExact(W, shape, bits, groupSize);
  });
});

it("a range need not hold 0: far from it the step is the range's own", async () => {
  const W = random([4, 32]).map((x) => 10 + 0.01 * x);
  const { scales, values } = await expectExact(W, [4, 32], 4, 32);
  expect(Math.max(...scales)).toBeLessThan(0.02 / 14);
  // M is within half a unit of f16 at 10, 2⁻⁸, of −min, and so may all points be.
  for (const [i, w] of W.entries()) expect(Math.abs(values[i] - w)).toBeLessThan(2 ** -8 + 0.0014);
});

it.each([2, 4, 8])("equal weights decode to themselves as f16 has them, or nearer, at %i bits", async (bits) => {
  const equal = [0, 0.1, -0.1, 1e-30, -1e-7, 3e-5, 1, -2.5, 777.7, 65504, -65504];
  const { scales, values } = await expectExact(rowsOf(equal, 8), [equal.length, 8], bits, -1);
  expect(scales).toEqual(equal.map(() => 2 ** -24));
  for (const [i, w] of equal.entries())
    for (let k = 0; k < 8; k++) expect(Math.abs(values[8 * i + k] - w)).toBeLessThanOrEqual(Math.abs(toF16(w) - w) + 2 ** -25);
});

it("decode to f16 rounds once: a tie that f32 makes of a value is none", async () => {
  // 2 + 2⁻⁹ + 2⁻¹⁰ is midway between two f16 values; 129·127·2⁻²⁴ is 2⁻²⁴ less than 2⁻¹⁰, which f32 does not see beside 2.
  const [S, M, code] = [129 * 2 ** -24, -(2 + 2 ** -9), 127];
  expect(Math.fround(S * code - M)).toBe(2 + 2 ** -9 + 2 ** -10);
  const signs = [1, -1];
  const [W] = await inScope(gpu, async () => {
    const grid = {
      kind: "real-zero" as const,
      scales: gpu.fromFloats([S, S], [2, 1]),
      zeros: gpu.fromFloats(
        signs.map((s) => s * M),
        [2, 1],
      ),
    };
    return gpu.read([gpu.decode(gpu.fromUints([code, code], [2, 1]), grid, undefined, true)]);
  });
  expect([...W]).toEqual(signs.map((s) => toF16(S * code - s * M)));
  expect(W[0]).toBe(2 + 2 ** -9);
});

it("regrid renews only the groups of its columns, and keeps the kind", async () => {
  const [before, after] = [random([5, 24]), random([5, 24]).map((x) => x + 2)];
  await expectTwins(
    gpu,
    (o) => {
      const g = o.grid(o.fromFloats(before, [5, 24]), spec(4, 4));
      o.regrid(g, o.fromFloats(after, [5, 24]), { ...spec(4, 4), kind: undefined }, 8, 20);
      return [g.scales, g.zeros];
    },
    () => 0,
  );
});

it("mse: the shrunken range errs as little as the reference's, far from 0 too", async () => {
  const W = random([9, 32]).map((x, i) => (i % 32 === 5 ? 4 * x : x ** 3) + (i < 96 ? 0 : 20));
  const loss = async (o: Ops, mse: boolean) => {
    const w = o.fromFloats(W, [9, 32]);
    const g = o.grid(w, spec(3, 16, mse));
    const [back] = await o.read([o.decode(o.encode(w, g, 3), g)]);
    return Array.from({ length: 18 }, (_, i) =>
      W.subarray(16 * i, 16 * i + 16).reduce((sum, x, j) => sum + Math.abs(x - back[16 * i + j]) ** 2.4, 0),
    );
  };
  const [actual, best, plain] = [await loss(gpu, true), await loss(cpu, true), await loss(gpu, false)];
  // As in gpu-grid.test.ts; and ŵ is off by half a unit of f32 at 20, of an error of a tenth, which the power makes 2.4 times as much.
  const off = 200 * ulp + 2.4 * 2 * 200 * ulp;
  for (const [i, e] of best.entries()) expect(Math.abs(actual[i] / e - 1)).toBeLessThanOrEqual(off);
  expect(best.some((e, i) => e < 0.9 * plain[i])).toBe(true);
  expect(best.slice(6).some((e, i) => e < 0.9 * plain[6 + i])).toBe(true);
});

it.each([
  ["WebGPU", gpu],
  ["the reference", cpu],
])("symmetric grids are refused on %s", (_, o) => {
  const scope = o.scope();
  expect(() => o.grid(o.zeros([2, 4]), { ...spec(4), symmetric: true })).toThrow("grid got a symmetric grid with real zeros");
  scope.end();
});
