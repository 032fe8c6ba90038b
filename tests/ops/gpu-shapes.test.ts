/** Kernels at sizes that models have and no tile divides: 172 and 1000 inputs, and Llama-2-7B's 11008 = 86 · 128. */
import { describe, expect, it } from "vitest";
import type { Ops } from "../../src/ops/ops";
import { roundToNearest } from "../../src/quant/rtn";
import { bitWidths, type GroupSize, groupSizes } from "../../src/recipe/recipe";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { cpu, expectWithin, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(31);
const sizes = [172, 1000, 11008];
const rows = 5;

const fitting = (n: number) => groupSizes.filter((groupSize) => groupSize === -1 || n % groupSize === 0);

describe.each(sizes.flatMap((n) => fitting(n).map((groupSize): [number, GroupSize] => [n, groupSize])))(
  "RTN of %i inputs in groups of %i",
  (n, groupSize) => {
    it.each(bitWidths)("gives the reference's scales, zeros and codes with %i bits", async (bits) => {
      const W = random([rows, n]).map((x, i) => (i % 97 === 0 ? 8 * x : x));
      for (const symmetric of [true, false]) {
        const round = (ops: Ops) =>
          inScope(ops, async () => {
            const { codes, grid } = roundToNearest(ops.fromFloats(W, [rows, n]), recipeWith({ bits, groupSize, symmetric }), ops);
            return { grid: await ops.read([grid.scales, grid.zeros]), codes: await ops.readUints(codes) };
          });
        const [actual, expected] = [await round(gpu), await round(cpu)];
        for (const part of [0, 1]) expectWithin(actual.grid[part], expected.grid[part], 0);
        expectWithin(Float64Array.from(actual.codes), Float64Array.from(expected.codes), 0);
      }
    });
  },
);

describe.each(sizes)("packing rows of %i", (n) => {
  it.each(bitWidths)("gives the reference's words with %i bits, and the codes again", async (bits) => {
    const codes = Uint32Array.from(random([rows * n]), (x) => Math.floor(((x + 1) / 2) * 2 ** bits) % 2 ** bits);
    const both = (ops: Ops) =>
      inScope(ops, async () => {
        const words = ops.pack(ops.fromUints(codes, [rows, n]), bits);
        return { words: await ops.readUints(words), codes: await ops.readUints(ops.unpack(words, bits, n)) };
      });
    const [actual, expected] = [await both(gpu), await both(cpu)];
    expect(Buffer.compare(Buffer.from(actual.words.buffer), Buffer.from(Uint32Array.from(expected.words).buffer))).toBe(0);
    expect(Buffer.compare(Buffer.from(actual.codes.buffer), Buffer.from(codes.buffer))).toBe(0);
  });
});

// An 11008² matrix is 485 MB: seconds on a software adapter, more where others work too.
describe("statistics of 11008 inputs", { timeout: 300_000 }, () => {
  const n = 11008;
  const tokens = 6;
  // An odd step, so that the 65 rows looked at take every place within a tile of 64; every column of them is looked at.
  const [first, step] = [0, 171];
  const sampled = Array.from({ length: Math.ceil((n - first) / step) }, (_, i) => first + i * step);

  /** Rows of Σ_t a_ti b_tj in float64, with what float32 may lose of them: a sum of `tokens` products, and `extra` roundings more. */
  function expectRows(actual: ArrayLike<number>, a: ArrayLike<number>, b: ArrayLike<number>, extra: number) {
    expect(actual.length).toBe(sampled.length * n);
    for (const [r, i] of sampled.entries()) {
      const expected = new Float64Array(n);
      const bound = new Float64Array(n);
      for (let t = 0; t < tokens; t++)
        for (let j = 0; j < n; j++) {
          const term = a[t * n + i] * b[t * n + j];
          expected[j] += term;
          bound[j] += Math.abs(term) * (tokens + extra) * ulp;
        }
      expectWithin(Float32Array.from(actual).subarray(r * n, (r + 1) * n), expected, bound);
    }
  }

  it("gram and mirror, on rows across every tile's edges", async () => {
    const x = random([tokens, n]);
    const actual = await inScope(gpu, async () => {
      const H = gpu.zeros([n, n]);
      gpu.gram(H, gpu.fromFloats(x, [tokens, n]));
      gpu.mirror(H);
      return (await gpu.read([gpu.everyRow(H, first, step)]))[0];
    });
    expectRows(actual, x, x, 2);
  });

  it("crossGram, the streams nearly alike", async () => {
    const xq = random([tokens, n]);
    const x = Float32Array.from(random([tokens, n]), (d, i) => xq[i] + 1e-4 * d);
    const actual = await inScope(gpu, async () => {
      const C = gpu.zeros([n, n]);
      const q = gpu.fromFloats(xq, [tokens, n]);
      gpu.crossGram(C, gpu.add(gpu.fromFloats(x, [tokens, n]), q, -1), q);
      return (await gpu.read([gpu.everyRow(C, first, step)]))[0];
    });
    expectRows(
      actual,
      Float64Array.from(x, (v, i) => v - xq[i]),
      xq,
      3,
    );
  });
});
