import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/io/dtype";
import { join } from "../../src/ops/gpu/join";
import { shared } from "../../src/ops/gpu/kernels";
import { openGpuOps } from "../support/gpu";
import { randoms } from "./helpers";
import { runWgsl } from "./run-wgsl";

const { device } = (await openGpuOps()).gpu;
const random = randoms(41);

/** One shared function, element by element: `body` makes y of the inputs' a, b, c, d. */
async function apply(
  uses: string,
  body: string,
  inputs: readonly (readonly number[])[],
  type = "f32",
  constants = {},
): Promise<Float32Array> {
  const names = ["a", "b", "c", "d"].slice(0, inputs.length);
  const lanes = type === "f32" ? 1 : Number(type[3]);
  const code = `// uses: ${uses}
${names.map((name, i) => `@group(0) @binding(${i}) var<storage, read> in_${name}: array<f32>;`).join("\n")}
@group(0) @binding(${names.length}) var<storage, read_write> y: array<${type}>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= arrayLength(&y)) { return; }
  ${names.map((name) => `let ${name} = in_${name}[i];`).join(" ")}
  ${body}
}`;
  const n = inputs[0].length;
  const data = inputs.map((x) => Float32Array.from(x));
  return new Float32Array(await runWgsl(device, join("test", code, shared), data, n * lanes, Math.ceil(n / 64), constants));
}

/** A finite f32, or anything that is a multiple of 2⁻²⁰⁰, in units of 2⁻²⁰⁰. */
const exact = (x: number): bigint => {
  let [value, shift] = [x, 200];
  while (!Number.isInteger(value)) {
    value *= 2;
    shift--;
  }
  return BigInt(value) << BigInt(shift);
};

/** Half to even. */
function roundRatio(numerator: bigint, denominator: bigint): number {
  const magnitude = numerator < 0n ? -numerator : numerator;
  const below = magnitude / denominator;
  const twice = 2n * (magnitude % denominator);
  const up = twice > denominator || (twice === denominator && below % 2n === 1n);
  return Number(up ? below + 1n : below) * (numerator < 0n ? -1 : 1);
}

const ulpOf = (x: number): number => 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -126) - 23);

describe("round_quotient", () => {
  // Least subnormal and others, the least normal, odd and even significands, the largest.
  const scales = [2 ** -24, 3 * 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 0.0123, 0.1, 1 / 3, 1, 1.5, 2047 * 2 ** -11, 777, 65504].map(toF16);
  const cases = scales.flatMap((s) =>
    Array.from({ length: 521 }, (_, i) => i - 260).flatMap((c) => {
      const middle = Math.fround((c + 0.5) * s); // exact: 11 and 10 bits
      return [-2, -1, 0, 1, 2].flatMap((steps) => {
        const w = Math.fround(middle + steps * ulpOf(middle));
        return [0, 2 ** -126, -(2 ** -126), ulpOf(w) / 2, -ulpOf(w) / 2, ulpOf(w) / 7, -ulpOf(w) / 1024].map((low) => ({ w, low, s }));
      });
    }),
  );

  it(`rounds ${cases.length} quotients at and beside midpoints as exact fractions do`, async () => {
    const got = await apply("round_quotient", "y[i] = round_quotient(a, b, c);", [
      cases.map(({ w }) => w),
      cases.map(({ low }) => low),
      cases.map(({ s }) => s),
    ]);
    const wrong = cases.flatMap(({ w, low, s }, i) => {
      const want = roundRatio(exact(w) + exact(Math.fround(low)), exact(s));
      return got[i] === want ? [] : [`(${w} + ${low}) / ${s} became ${got[i]}, not ${want}`];
    });
    expect(wrong).toEqual([]);
  });

  it("takes nothing, and what f32 may count as nothing, for 0, and stays finite far outside", async () => {
    const w = [0, -0, 1e-40, -1e-40, 3e38, -3e38];
    const got = await apply("round_quotient", "y[i] = round_quotient(a, 0.0, b);", [w, w.map(() => 2 ** -24)]);
    expect([...got.subarray(0, 4)].map(Math.abs)).toEqual([0, 0, 0, 0]);
    expect(got[4]).toBeGreaterThanOrEqual(1024);
    expect(got[5]).toBeLessThanOrEqual(-1024);
  });
});

it("two_sum loses nothing, whichever is larger", async () => {
  const exponents = Array.from({ length: 4000 }, (_, i) => (i % 61) - 30);
  const a = [...random([4000])].map((x, i) => Math.fround(x * 2 ** exponents[i]));
  const b = [...random([4000])].map((x, i) => (i % 5 === 0 ? -a[i] : Math.fround(x * 2 ** exponents[(7 * i + 3) % 4000])));
  const got = await apply("two_sum", "let t = two_sum(a, b); y[i] = vec2f(t.high, t.low);", [a, b], "vec2f");
  for (const [i, x] of a.entries()) {
    expect(got[2 * i]).toBe(Math.fround(x + b[i]));
    expect(exact(got[2 * i]) + exact(got[2 * i + 1])).toBe(exact(x) + exact(b[i]));
  }
});

describe("grid_code, real zeros", () => {
  const constants = { REAL_ZERO: 1 };
  const scales = [2 ** -24, 1023 * 2 ** -24, 0.0123, 0.1, 1.5, 777].map(toF16);
  const offsets = [0, 2 ** -24, 0.1, -0.1, 1, -3.3, 5000, -5000, 65504, -65504].map(toF16);

  it("a code is what exact fractions say, at and beside midpoints, however near w and −M are", async () => {
    const cases = scales.flatMap((S) =>
      offsets.flatMap((M) =>
        Array.from({ length: 18 }, (_, i) => i - 1).flatMap((c) => {
          const middle = Math.fround((c + 0.5) * S - M);
          return [-2, -1, 0, 1, 2].flatMap((steps) => {
            const w = Math.fround(middle + steps * ulpOf(middle || 1e-9));
            return [0, ulpOf(w || 1) / 2, -ulpOf(w || 1) / 8].map((low) => ({ w, low: w === 0 ? 0 : low, S, M }));
          });
        }),
      ),
    );
    const got = await apply(
      "grid_code",
      "y[i] = code_of(a, b, c, d, 15u);",
      [cases.map(({ w }) => w), cases.map(({ low }) => low), cases.map(({ S }) => S), cases.map(({ M }) => M)],
      "f32",
      constants,
    );
    const wrong = cases.flatMap(({ w, low, S, M }, i) => {
      const want = Math.min(Math.max(roundRatio(exact(w) + exact(Math.fround(low)) + exact(M), exact(S)), 0), 15);
      return got[i] === want ? [] : [`(${w} + ${low} + ${M}) / ${S} became ${got[i]}, not ${want}`];
    });
    expect(cases.length).toBeGreaterThan(15_000);
    expect(wrong).toEqual([]);
  });

  it("a value is S·code − M, and what rounding it lost", async () => {
    const cases = scales.flatMap((S) => offsets.flatMap((M) => [0, 1, 7, 15, 127, 255].map((code) => ({ S, M, code }))));
    const inputs = [cases.map(({ S }) => S), cases.map(({ M }) => M), cases.map(({ code }) => code)];
    const got = await apply("grid_code", "let v = value_of(a, b, c); y[i] = vec2f(v.high, v.low);", inputs, "vec2f", constants);
    for (const [i, { S, M, code }] of cases.entries()) {
      expect(got[2 * i]).toBe(Math.fround(S * code - M));
      expect(got[2 * i] + got[2 * i + 1]).toBe(S * code - M);
    }
  });
});

describe("near_exp", () => {
  const near = (x: readonly number[]) => apply("near_exp", "y[i] = near_exp(vec4f(a)).x;", [x]);

  it("is e^x to 1 ulp from −87 to 88, at the ends of its pieces too", async () => {
    // Where n changes: odd multiples of ln 2 / 2.
    const ends = Array.from({ length: 250 }, (_, i) => (2 * i - 251) * (Math.LN2 / 2)).flatMap((x) => [x, x + ulpOf(x), x - ulpOf(x)]);
    const x = [...Array.from({ length: 35001 }, (_, i) => i / 200 - 87), ...ends, 0, -0, 1e-30, -1e-8, 87.999].map(Math.fround);
    const inside = x.filter((v) => v >= -87 && v <= 88);
    const got = await near(inside);
    const wrong = inside.filter((v, i) => !(Math.abs(got[i] - Math.exp(v)) <= ulpOf(Math.exp(v))));
    expect(wrong).toEqual([]);
    // Errors to one side would survive every mean.
    const bias = inside.reduce((sum, v, i) => sum + (got[i] / Math.exp(v) - 1), 0) / inside.length;
    expect(Math.abs(bias)).toBeLessThan(2 ** -24 / 20);
  });

  it("goes no lower than e⁻⁸⁷ and hides no NaN", async () => {
    const got = await near([-87, -88, -1e4, -3e38, Number.NaN]);
    expect(new Set(got.subarray(0, 4)).size).toBe(1);
    expect(got[4]).toBeNaN();
  });
});

it("exp_rest is e^r − 1 − r to 2⁻²² of it up to ln 2 / 2 on both sides, however small r is", async () => {
  const sizes = Array.from({ length: 2000 }, (_, i) => (Math.LN2 / 2) * 0.99999 ** (i * i));
  const r = [...sizes, ...sizes.map((v) => -v)].map(Math.fround).filter((v) => Math.abs(v) > 2 ** -60 && Math.abs(v) <= Math.LN2 / 2);
  const got = await apply("near_exp", "y[i] = exp_rest(vec4f(a)).x;", [r]);
  // The series, as float64 loses digits of small differences too.
  const series = (v: number) => Array.from({ length: 18 }, (_, k) => k + 2).reduce((sum, k) => sum + v ** k / factorial(k), 0);
  const worst = r.reduce((most, v, i) => Math.max(most, Math.abs(got[i] / series(v) - 1)), 0);
  expect(r.length).toBeGreaterThan(3000);
  expect(worst).toBeLessThan(2 ** -22);
});

const factorial = (k: number): number => (k < 2 ? 1 : k * factorial(k - 1));

describe("row_reduction", () => {
  const code = (type: string) => `// uses: row_reduction
alias Partial = ${type};
@group(0) @binding(0) var<storage, read> x: array<Partial>;
@group(0) @binding(1) var<storage, read_write> y: array<Partial>;
@compute @workgroup_size(LANES, ROWS) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = wg.x * ROWS + id.y;
  let value = x[row * LANES + id.x];
  let top = row_largest(value, id);
  let sum = row_total(value - top, id);
  let again = row_largest(-value, id);
  y[(row * LANES + id.x) * 3u] = top;
  y[(row * LANES + id.x) * 3u + 1u] = sum;
  y[(row * LANES + id.x) * 3u + 2u] = again;
}`;

  it.each([
    [1, 1],
    [1, 16],
    [2, 3],
    [64, 1],
    [32, 8],
    [128, 2],
  ])("of %i lanes, %i rows a workgroup: every lane gets the largest and the sum", async (LANES, ROWS) => {
    for (const [type, parts] of [
      ["f32", 1],
      ["vec2f", 2],
    ] as const) {
      const rows = 2 * ROWS;
      const x = random([rows * LANES * parts]).map((v) => Math.round(1000 * v)); // sums are exact
      const y = new Float32Array(
        await runWgsl(device, join("test", code(type), shared), [x as Float32Array<ArrayBuffer>], 3 * x.length, 2, { LANES, ROWS }),
      );
      for (let row = 0; row < rows; row++)
        for (let part = 0; part < parts; part++) {
          const values = Array.from({ length: LANES }, (_, lane) => x[(row * LANES + lane) * parts + part]);
          const top = Math.max(...values);
          const want = [top, values.reduce((sum, v) => sum + v - top, 0), Math.max(...values.map((v) => -v))];
          for (let lane = 0; lane < LANES; lane++)
            expect([0, 1, 2].map((k) => y[((row * LANES + lane) * 3 + k) * parts + part])).toEqual(want);
        }
    }
  });
});
