import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bf16Word,
  convertFloats,
  f16ToNumber,
  f16Word,
  findNonFinite,
  tensorBytes,
  toF16,
  toF16Words,
  toFloats,
  toShortF16,
} from "../../src/io/dtype";
import type { Dtype } from "../../src/io/types";
import { failure } from "./helpers";

const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
const bytes = new Uint8Array(words.buffer);

/** The value of a word straight from the definition of a binary format with e exponent and f fraction bits. */
function defined(word: number, e: number, f: number): number {
  const bias = 2 ** (e - 1) - 1;
  const sign = word >>> (e + f) ? -1 : 1;
  const exponent = (word >>> f) & (2 ** e - 1);
  const fraction = (word & (2 ** f - 1)) / 2 ** f;
  if (exponent === 2 ** e - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction) * 2 ** (exponent - bias) : fraction * 2 ** (1 - bias));
}

/** The finite word nearest to |x| by search over all 31,744 f16 magnitudes, ties to the even word. */
function nearestF16(x: number): number {
  let low = 0;
  let high = 0x7c00;
  const value = (w: number) => (w === 0x7c00 ? 65536 : f16ToNumber(w));
  while (high - low > 1) {
    const mid = (low + high) >>> 1;
    if (value(mid) <= x) low = mid;
    else high = mid;
  }
  const middle = (value(low) + value(high)) / 2;
  if (x === middle) return low & 1 ? high : low;
  return x < middle ? low : high;
}

describe("all 65,536 words", () => {
  it.each<[Dtype, number, number]>([
    ["F16", 5, 10],
    ["BF16", 8, 7],
  ])("%s to float is exact", (dtype, e, f) => {
    const floats = toFloats(bytes, dtype);
    for (const w of words) {
      if (!Object.is(floats[w], defined(w, e, f))) expect.fail(`word ${w}: ${floats[w]}`);
      if (dtype === "F16" && !Object.is(f16ToNumber(w), floats[w])) expect.fail(`word ${w}: ${f16ToNumber(w)}`);
    }
  });

  it("survive the way back, NaN as NaN", () => {
    const f16 = toFloats(bytes, "F16");
    const back = [toF16Words(f16), toF16Words(Float64Array.from(f16))];
    for (const w of words) {
      expectWord(back[0][w], w, f16[w], 0x7c00);
      expectWord(back[1][w], w, f16[w], 0x7c00);
    }
  });

  function expectWord(got: number, want: number, value: number, exponent: number) {
    const isNan = (got & 0x7fff) > exponent;
    if (Number.isNaN(value) ? !isNan : got !== want) expect.fail(`word ${want} came back as ${got}`);
  }
});

describe("rounding", () => {
  it("takes ties between neighbouring f16 to the even one, and a hair off them to the nearer", () => {
    for (let w = 0; w < 0x7bff; w++) {
      const tie = (f16ToNumber(w) + f16ToNumber(w + 1)) / 2;
      const even = w & 1 ? w + 1 : w;
      const got = [
        f16Word(tie),
        f16Word(tie * (1 - 2 ** -40)),
        f16Word(tie * (1 + 2 ** -40)),
        f16Word(-tie),
        toF16Words(Float32Array.of(tie))[0],
      ];
      const want = [even, w, w + 1, even | 0x8000, even];
      if (got.join() !== want.join()) expect.fail(`after word ${w}: ${got} instead of ${want}`);
    }
  });

  it("overflows to infinity from 65520 on, and underflows to zero at half the smallest", () => {
    expect([65519.999, 65520, 1e300, Number.POSITIVE_INFINITY].map(toF16)).toEqual([
      65504,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
    expect(toF16(-65520)).toBe(Number.NEGATIVE_INFINITY);
    expect([2 ** -25, 2 ** -25 * 1.0001, 2 ** -24, 5e-324].map(f16Word)).toEqual([0, 1, 1, 0]);
    expect(Object.is(toF16(-1e-30), -0)).toBe(true);
    expect(toF16(Number.NaN)).toBeNaN();
    expect([...toF16Words(Float32Array.of(65519, 65520, Number.NaN, -0))]).toEqual([0x7bff, 0x7c00, 0x7e00, 0x8000]);
  });

  it("does not round twice: a double that f32 would carry to a tie goes to the nearer f16", () => {
    const x = 1 + 2 ** -11 + 2 ** -40;
    expect(toF16(x)).toBe(1 + 2 ** -10);
    expect(toF16(Math.fround(x))).toBe(1);
  });

  it("agrees with a search over all f16 values, for any double and any float", () => {
    const near = fc.oneof(
      fc.double({ noNaN: true }),
      fc.double({ min: -7e4, max: 7e4, noNaN: true }),
      fc.double({ min: -1e-4, max: 1e-4, noNaN: true }),
    );
    fc.assert(
      fc.property(near, (x) => {
        const sign = Object.is(Math.abs(x), x) ? 0 : 0x8000;
        expect(f16Word(x)).toBe(nearestF16(Math.abs(x)) | sign);
        expect(toF16Words(Float32Array.of(x))[0]).toBe(f16Word(Math.fround(x)));
      }),
      { numRuns: 5000, seed: 1 },
    );
  });
});

describe("rounding to bf16", () => {
  const value = (word: number) => toFloats(new Uint8Array(Uint16Array.of(word).buffer), "BF16")[0];
  /** By way of bytes, as tensors go. */
  const viaBytes = (x: number) => {
    const bytes = convertFloats(new Uint8Array(Float32Array.of(x).buffer), "F32", "BF16");
    return bytes[0] | (bytes[1] << 8);
  };

  it("takes ties between neighbours to the even one, and what is beside them to the nearer", () => {
    for (let w = 0; w < 0x7f7f; w++) {
      const [low, high] = [value(w), value(w + 1)];
      const tie = (low + high) / 2;
      const even = w & 1 ? w + 1 : w;
      const [below, above] = [tie - (high - low) / 2 ** 20, tie + (high - low) / 2 ** 20];
      const got = [bf16Word(tie), bf16Word(below), bf16Word(above), bf16Word(-tie), viaBytes(tie), viaBytes(-tie)];
      const want = [even, w, w + 1, even | 0x8000, even, even | 0x8000];
      if (got.join() !== want.join()) expect.fail(`after word ${w}: ${got} instead of ${want}`);
    }
  });

  it("does not round twice, goes to infinity beyond the largest, and keeps zeros' signs and NaN", () => {
    const x = 1 + 2 ** -8 + 2 ** -40;
    expect([bf16Word(x), bf16Word(Math.fround(x))]).toEqual([0x3f81, 0x3f80]);
    expect([3.3895e38, 3.4e38, 1e300, -3.4e38, Number.POSITIVE_INFINITY, -0].map(bf16Word)).toEqual([
      0x7f7f, 0x7f80, 0x7f80, 0xff80, 0x7f80, 0x8000,
    ]);
    expect(viaBytes(3.4e38)).toBe(0x7f80);
    expect(value(bf16Word(Number.NaN))).toBeNaN();
    expect(value(viaBytes(Number.NaN))).toBeNaN();
  });

  it("converts among all three dtypes as the numbers say, at any offset", () => {
    const numbers = [1.0009765625, -2.71, 65504, 1e-7, 0, 1e30];
    const f32 = new Uint8Array(Float32Array.from(numbers).buffer);
    const shifted = new Uint8Array(f32.length + 1);
    shifted.set(f32, 1);
    const floats = [...toFloats(f32, "F32")];
    const rounded = { F32: floats, F16: floats.map(toF16), BF16: floats.map((x) => value(bf16Word(x))) };
    for (const to of ["F32", "F16", "BF16"] as const) {
      expect([...toFloats(convertFloats(shifted.subarray(1), "F32", to), to)]).toEqual(rounded[to]);
      const half = convertFloats(f32, "F32", "F16");
      const again = to === "BF16" ? rounded.F16.map((x) => value(bf16Word(x))) : rounded.F16;
      expect([...toFloats(convertFloats(half, "F16", to), to)]).toEqual(again);
    }
  });
});

it("toShortF16 keeps so many significant bits, subnormals and the range", () => {
  expect([0, 1, 1.0625, 1.03, 2 ** -24, 2.4 * 2 ** -24, 3 * 2 ** -23 + 2 ** -24].map((x) => toShortF16(x, 4))).toEqual([
    0,
    1,
    1,
    1,
    2 ** -24,
    2 * 2 ** -24,
    7 * 2 ** -24,
  ]);
  expect(toShortF16(1.1875, 4)).toBe(1.25);
  expect([63487, 63488, Number.POSITIVE_INFINITY].map((x) => toShortF16(x, 4))).toEqual([
    61440,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
  for (let i = 0; i < 2000; i++) expect(toShortF16(1.7 ** (i % 60) * i * 1e-6, 11)).toBe(toF16(1.7 ** (i % 60) * i * 1e-6));
});

describe("toFloats", () => {
  it("reads at any byte offset", () => {
    const shifted = new Uint8Array(13);
    shifted.set(new Uint8Array(Float32Array.of(1.5, -2, 3).buffer), 1);
    expect([...toFloats(shifted.subarray(1), "F32")]).toEqual([1.5, -2, 3]);
    expect([...toFloats(Uint8Array.of(9, 0, 0x3c, 0, 0xc0).subarray(1), "F16")]).toEqual([1, -2]);
  });
  it("refuses integers", async () => expect(await failure(() => toFloats(bytes, "I32"))).toMatch(/^unsupported-dtype: I32/));
});

describe("findNonFinite", () => {
  it.each<[Dtype, number, number, number]>([
    ["F16", 5, 10, 16],
    ["BF16", 8, 7, 16],
    ["F8_E5M2", 5, 2, 8],
  ])("finds exactly the non-finite words of %s", (dtype, e, f, bits) => {
    const all = bits === 16 ? words : Uint8Array.from({ length: 256 }, (_, i) => i);
    const bad = [...all].filter((w) => !Number.isFinite(defined(w, e, f)));
    expect(findNonFinite(new Uint8Array(all.buffer), dtype)).toEqual({ index: bad[0], count: bad.length });
    const good = all.filter((w) => Number.isFinite(defined(w, e, f)));
    expect(findNonFinite(new Uint8Array(good.buffer), dtype)).toBeNull();
  });

  it("tells NaN, infinities, -0 and subnormals of F32 and F64 apart, at any byte offset", () => {
    const values = [1, -0, 1e-310, 1e-40, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
    const shifted = new Uint8Array(1 + 64);
    shifted.set(new Uint8Array(Float64Array.from(values).buffer), 1);
    expect(findNonFinite(shifted.subarray(1), "F64")).toEqual({ index: 5, count: 3 });
    expect(findNonFinite(new Uint8Array(Float32Array.from(values).buffer), "F32")).toEqual({ index: 4, count: 4 });
    expect(findNonFinite(new Uint8Array(Float64Array.of(1, -0, 1e-310, Number.MAX_VALUE).buffer), "F64")).toBeNull();
  });

  it("knows the two NaNs of E4M3, and that integers are finite", () => {
    expect(findNonFinite(Uint8Array.of(0x7e, 0xfe, 0x7f, 0xff), "F8_E4M3")).toEqual({ index: 2, count: 2 });
    expect(findNonFinite(new Uint8Array(8).fill(255), "I64")).toBeNull();
  });
});

it("tensorBytes counts, and passes 2^53 as Infinity even before a zero", () => {
  expect([tensorBytes("BF16", [3, 4]), tensorBytes("F64", []), tensorBytes("I8", [5, 0])]).toEqual([24, 8, 0]);
  expect(tensorBytes("U8", [2 ** 30, 2 ** 30, 0])).toBe(Number.POSITIVE_INFINITY);
});
