import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/io/dtype";
import type { Floats, Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, expectTwins, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(19);

const bitsOf = (x: number) => new Int32Array(Float32Array.of(x).buffer)[0];
const floatOf = (b: number) => new Float32Array(Int32Array.of(b).buffer)[0];
/** The f32 `steps` further from 0. */
const beside = (x: number, steps: number) => floatOf(bitsOf(x) + steps);

/** Every positive finite f16 value, ascending. */
const halves = Float64Array.from({ length: 0x7bff }, (_, i) => {
  const [exponent, mantissa] = [(i + 1) >> 10, (i + 1) & 1023];
  return exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
});

it("the list of halves is right", () => {
  expect(halves.every((h) => toF16(h) === h)).toBe(true);
  expect(halves.at(-1)).toBe(65504);
});

describe("the scale is rounded to f16 half to even", () => {
  // One group a row of one weight w: the range is w, the scale f16(w / (2ᵇ − 1)). One bit: f16(w) itself.
  it.each([1, 2, 3, 4, 8])("at every midpoint of two halves and just beside it, %i bits", async (bits) => {
    const top = 2 ** bits - 1;
    const middles = Array.from(halves.subarray(1), (h, i) => (top * (h + halves[i])) / 2); // exact in f32
    const w = Float32Array.from([...middles, ...middles.map((m) => beside(m, -1)), ...middles.map((m) => beside(m, 1))]);
    const signed = w.map((x, i) => (i % 2 === 0 ? x : -x));
    const spec = { bits, groupSize: -1, symmetric: false };
    const [scales] = await inScope(gpu, () => gpu.read([gpu.grid(gpu.fromFloats(signed, [w.length, 1]), spec).scales]));
    const expected = Array.from(w, (x) => Math.max(toF16(x / top), 2 ** -24));
    expect([...scales.keys()].filter((i) => scales[i] !== expected[i])).toEqual([]);
  });

  it("at both ends: 2⁻²⁴ at least, +∞ from 65520 on", async () => {
    const w = Float32Array.of(0, 1.2e-38, 1e-30, 2 ** -25, 2 ** -24, 1.4 * 2 ** -24, 65504, 65519, 65519.996, 65520, 7e4, 3e38);
    const spec = { bits: 1, groupSize: -1, symmetric: false };
    const [scales] = await gpu.read([gpu.grid(gpu.fromFloats(w, [w.length, 1]), spec).scales]);
    const least = 2 ** -24;
    const infinity = Number.POSITIVE_INFINITY;
    // 0: an all-zero group has the range [−1, 1]. Below 2⁻¹²⁶ f32 may count as 0: a GPU need not keep subnormals.
    expect([...scales]).toEqual([2, least, least, least, least, least, 65504, 65504, 65504, infinity, infinity, infinity]);
  });
});

describe("a scale of fewer significant bits", () => {
  /** Every positive value of so many significant bits that f16 has, ascending. */
  const short = (digits: number) =>
    halves.filter((h) => h < 2 ** (digits - 24) || Number.isInteger((h * 2 ** (digits - 1)) / 2 ** Math.floor(Math.log2(h))));

  it.each([3, 7, 8, 9])("is rounded to %i, half to even, at every midpoint of two and just beside it", async (digits) => {
    const bits = 11 - digits;
    const top = 2 ** bits - 1;
    const values = short(digits);
    const middles = Array.from(values.subarray(1), (h, i) => ({
      w: (top * (h + values[i])) / 2,
      low: values[i],
      high: h,
      even: i % 2 ? values[i] : h,
    }));
    const cases = middles.flatMap(({ w, low, high, even }) => [
      { w, want: even },
      { w: beside(w, -1), want: low },
      { w: beside(w, 1), want: high },
    ]);
    const W = Float32Array.from(cases, ({ w }) => w);
    const spec = { bits, groupSize: -1, symmetric: false, scaleBits: digits };
    for (const o of [gpu, cpu]) {
      const [scales] = await inScope(o, () => o.read([o.grid(o.fromFloats(W, [W.length, 1]), spec).scales]));
      expect(cases.filter(({ want }, i) => scales[i] !== want)).toEqual([]);
    }
  });

  it.each(["integer-zero", "real-zero"] as const)(
    "leaves products with codes exact in f16, with %s, a search or a rest too",
    async (kind) => {
      const W = random([40, 64]).map((x, i) => (i % 13 === 0 ? 50 * x : x));
      const rest = W.map((x) => x * 2 ** -27);
      for (const bits of [2, 3, 4])
        for (const [mse, symmetric] of [
          [false, false],
          [true, false],
          [false, kind === "integer-zero"],
        ]) {
          const spec = { bits, groupSize: 32, symmetric, kind, mse, scaleBits: 11 - bits };
          const grids = async (o: Ops) =>
            inScope(o, async () => {
              const g = o.grid(o.fromFloats(W, [40, 64]), spec, o.fromFloats(rest, [40, 64]));
              const [scales, zeros] = await o.read([g.scales, g.zeros]);
              return { scales: [...scales], zeros: [...zeros] };
            });
          const [made, reference] = [await grids(gpu), await grids(cpu)];
          if (!mse) expect(made).toEqual(reference);
          for (const s of [...made.scales, ...reference.scales])
            for (let code = 0; code < 2 ** bits; code++) expect(toF16(s * code)).toBe(s * code);
          // M of a real zero keeps all that f16 has.
          if (kind === "real-zero")
            expect(made.zeros.some((m) => !Number.isInteger(m / 2 ** (Math.floor(Math.log2(Math.abs(m))) - 9)))).toBe(true);
        }
    },
  );
});

describe("what W lost when it was rounded decides at a midpoint", () => {
  const bits = 4;
  const top = 2 ** bits - 1;
  /** Ranges at midpoints of f16 scales, each with a rest below, of and above 0. */
  const cases = Array.from(halves.subarray(0x400, 0x7bfe), (h, i) => ({ range: (top * (h + halves[0x401 + i])) / 2, sign: (i % 3) - 1 }));
  /** Of rows of two weights. */
  const scales = (W: readonly number[], rest: readonly number[], symmetric: boolean) =>
    inScope(gpu, async () => {
      const shape = [W.length / 2, 2];
      const g = gpu.grid(gpu.fromFloats(W, shape), { bits, groupSize: -1, symmetric }, gpu.fromFloats(rest, shape));
      return (await gpu.read([g.scales]))[0];
    });
  const expected = ({ range, sign }: (typeof cases)[number]) => toF16((range * (1 + sign * 2 ** -30)) / top);
  const wrong = (actual: Floats) => cases.filter((c, i) => actual[i] !== expected(c));

  it.each([1, -1])("symmetric, the largest weight of sign %i", async (side) => {
    // The largest weight stands beside one that is equal but for its rest.
    const W = cases.flatMap(({ range }) => [(side * range) / 2, (side * range) / 2]);
    const rest = cases.flatMap(({ range, sign }) => [side * range * (sign - 1) * 2 ** -31, side * range * sign * 2 ** -31]);
    expect(wrong(await scales(W, rest, true))).toEqual([]);
  });

  it("asymmetric, the rest at either end", async () => {
    const W = cases.flatMap(({ range }) => [-range / 4, (3 * range) / 4]);
    const rest = cases.flatMap(({ range, sign }, i) => (i % 2 === 0 ? [-range * sign * 2 ** -30, 0] : [0, range * sign * 2 ** -30]));
    expect(wrong(await scales(W, rest, false))).toEqual([]);
  });

  it("a zero too, and weights that lie in the rest altogether", async () => {
    const s = 3 * 2 ** -6;
    // −min/s is 2½ but for the rest; range 15·s.
    const W = Float32Array.from([0, 1, -1].flatMap(() => [-2.5 * s, 12.5 * s]));
    const rest = Float32Array.from([0, 1, -1].flatMap((sign) => [-sign * s * 2 ** -28, -sign * s * 2 ** -28]));
    const spec = { bits, groupSize: -1, symmetric: false };
    await expectTwins(
      gpu,
      (o) => {
        const g = o.grid(o.fromFloats(W, [3, 2]), spec, o.fromFloats(rest, [3, 2]));
        const moved = o.grid(o.zeros([3, 2]), spec, o.fromFloats(W, [3, 2]));
        return [g.scales, g.zeros, moved.scales];
      },
      () => 0,
    );
    const zeros = async (r: Float32Array) =>
      (await inScope(gpu, () => gpu.read([gpu.grid(gpu.fromFloats(W, [3, 2]), spec, gpu.fromFloats(r, [3, 2])).zeros])))[0];
    expect([...(await zeros(rest))]).toEqual([2, 3, 2]);
    expect([...(await zeros(rest.map((r) => -r)))]).toEqual([2, 2, 3]);
  });
});

const gridOf = (o: Ops, W: Float32Array, shape: number[], bits: number, groupSize: number, symmetric: boolean) => {
  const w = o.fromFloats(W, shape);
  const g = o.grid(w, { bits, groupSize, symmetric });
  return [g.scales, g.zeros, o.decode(o.encode(w, g, bits), g)];
};

describe.each([
  [1, 1, -1],
  [3, 7, -1],
  [5, 96, 32],
  [67, 64, 64],
  [130, 128, 4],
])("grid, encode and decode of %i × %i in groups of %i", (out, n, groupSize) => {
  it.each([2, 3, 4, 8])("are exact with %i bits", async (bits) => {
    const loud = random([out, n]).map((x, i) => (i % 13 === 0 ? 50 * x : 1e-3 * x));
    const oneSided = random([out, n]).map((x) => Math.abs(x) + 0.1);
    const zeros = new Float32Array(out * n);
    for (const W of [loud, oneSided, zeros])
      for (const symmetric of [true, false]) {
        // Scales, zeros and codes are equal; s·(code − z) is exact too, as s has 11 bits and the difference 9.
        await expectTwins(
          gpu,
          (o) => gridOf(o, W, [out, n], bits, groupSize, symmetric),
          () => 0,
        );
      }
  });
});

it("encode at ties and just beside them, half to even", async () => {
  const s = toF16(0.0123);
  const ties = Array.from({ length: 33 }, (_, i) => (i - 16.5) * s); // exact in f32
  const w = Float32Array.from([...ties, ...ties.map((t) => beside(t, 1)), ...ties.map((t) => beside(t, -1)), 1e30, -1e30, 0, -0]);
  const codes = async (o: Ops) => {
    const grid = { kind: "integer-zero" as const, scales: o.fromFloats([s], [1, 1]), zeros: o.fromFloats([9], [1, 1]) };
    return [...(await o.readUints(o.encode(o.fromFloats(w, [1, w.length]), grid, 4)))];
  };
  expect(await codes(gpu)).toEqual(await codes(cpu));
});

it("decode to f16 rounds half to even, through subnormals to infinity", async () => {
  // Every scale with codes on both sides of the zero: products of 11 bits and 8, halves, ties and all between.
  const steps = [1, 3, 5, 9, 17, 33, 65, 129, 255, 85, 171, 99, 201, 7, 11, 13].flatMap((step) => [step, -step]);
  const shape = [halves.length, steps.length];
  const W = await inScope(gpu, async () => {
    const zeros = gpu.fromFloats(new Float32Array(halves.length).fill(255), [halves.length, 1]);
    const codes = Uint32Array.from({ length: halves.length * steps.length }, (_, i) => 255 + steps[i % steps.length]);
    const grid = { kind: "integer-zero" as const, scales: gpu.fromFloats(halves, [halves.length, 1]), zeros };
    return (await gpu.read([gpu.decode(gpu.fromUints(codes, shape), grid, undefined, true)]))[0];
  });
  const exact = (i: number) => halves[Math.floor(i / steps.length)] * steps[i % steps.length];
  expect([...W.keys()].filter((i) => W[i] !== toF16(exact(i))).map((i) => `${exact(i)} became ${W[i]}`)).toEqual([]);
});

it("decode by named groups", async () => {
  const codes = Array.from({ length: 21 }, (_, i) => i % 16);
  const scales = random([3, 2]).map(toF16);
  await expectTwins(
    gpu,
    (o) => {
      const grid = { kind: "integer-zero" as const, scales: o.fromFloats(scales, [3, 2]), zeros: o.fromFloats([1, 2, 3, 4, 5, 6], [3, 2]) };
      return o.decode(o.fromUints(codes, [3, 7]), grid, o.fromUints([1, 0, 0, 1, 1, 0, 1], [7]));
    },
    () => 0,
  );
});

it("regrid renews only the groups of its columns", async () => {
  const [before, after] = [random([5, 24]), random([5, 24])];
  const spec = { bits: 4, groupSize: 4, symmetric: false };
  await expectTwins(
    gpu,
    (o) => {
      const g = o.grid(o.fromFloats(before, [5, 24]), spec);
      o.regrid(g, o.fromFloats(after, [5, 24]), spec, 8, 20);
      return [g.scales, g.zeros];
    },
    () => 0,
  );
});

it.each([true, false])("mse: the shrunken range errs as little as the reference's (symmetric %s)", async (symmetric) => {
  const W = random([9, 32]).map((x, i) => (i % 32 === 5 ? 4 * x : x ** 3));
  const spec = { bits: 3, groupSize: 16, symmetric, mse: true };
  const loss = async (o: Ops) => {
    const w = o.fromFloats(W, [9, 32]);
    const g = o.grid(w, spec);
    const [back] = await o.read([o.decode(o.encode(w, g, 3), g)]);
    return Array.from({ length: 18 }, (_, i) =>
      W.subarray(16 * i, 16 * i + 16).reduce((sum, x, j) => sum + Math.abs(x - back[16 * i + j]) ** 2.4, 0),
    );
  };
  const [actual, best] = [await loss(gpu), await loss(cpu)];
  const plain = await loss({ ...gpu, grid: (w, s) => gpu.grid(w, { ...s, mse: false }) });
  // The search may stop at a neighbouring range where two err alike to within f32: pow is good to some 40 ulp.
  for (const [i, e] of best.entries()) expect(actual[i]).toBeLessThanOrEqual(e * (1 + 200 * ulp));
  expect(best.some((e, i) => e < 0.9 * plain[i])).toBe(true);
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const W = gpu.zeros([4, 6]);
  const spec = { bits: 4, groupSize: 4, symmetric: true };
  expect(() => gpu.grid(W, spec)).toThrow("grid got 4 × 6 in groups of 4");
  const g = gpu.grid(W, { ...spec, groupSize: 3 });
  expect(() => gpu.grid(W, { ...spec, groupSize: 3 }, gpu.zeros([4, 5]))).toThrow("regrid got 4 × 6 with a rest of 4 × 5");
  expect(() => gpu.encode(gpu.zeros([3, 6]), g, 4)).toThrow("encode got 3 × 6 with a grid of 4 × 2");
  expect(() => gpu.decode(W, g)).toThrow("decode got floats of 4 × 6");
  expect(() => gpu.regrid(g, W, { ...spec, groupSize: 3 }, 1, 6)).toThrow("regrid got columns 1 to 6 of 6 in groups of 3");
  scope.end();
});
