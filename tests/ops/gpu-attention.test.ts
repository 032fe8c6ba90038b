import { describe, expect, it } from "vitest";
import { openGpuOps } from "../support/gpu";
import { expectTwins, randoms, ulp } from "./helpers";

const variants = { tiled: await openGpuOps({ matmul: "tiled" }), auto: await openGpuOps() };
const random = randoms(11);

/**
 * A score is a product of d terms: off by (d + 2)·2⁻²⁴·max Σ|qk|/√d ≤ (d + 2)·2⁻²⁴·√d for entries below 1; that, and exp's own rounding, is a relative
 * error of each weight; the weighted mean of values below 1 adds (length + 4) roundings.
 */
const bound = (d: number, length: number) => (2 * (d + 4) * Math.sqrt(d) + length + 16) * ulp;

const cases = [
  { windows: 2, length: 1, heads: 1, kvHeads: 1, headDim: 4, slidingWindow: 0 },
  { windows: 3, length: 7, heads: 4, kvHeads: 2, headDim: 16, slidingWindow: 0 },
  { windows: 2, length: 17, heads: 3, kvHeads: 1, headDim: 6, slidingWindow: 5 },
  { windows: 2, length: 64, heads: 4, kvHeads: 4, headDim: 20, slidingWindow: 0 },
  { windows: 1, length: 65, heads: 6, kvHeads: 3, headDim: 64, slidingWindow: 1 },
  { windows: 2, length: 128, heads: 4, kvHeads: 2, headDim: 16, slidingWindow: 0 },
  { windows: 1, length: 131, heads: 2, kvHeads: 1, headDim: 128, slidingWindow: 70 },
  { windows: 1, length: 40, heads: 1, kvHeads: 1, headDim: 256, slidingWindow: 100 },
];

describe.each(Object.entries(variants))("%s", (_, gpu) => {
  it.each(cases)(
    "$windows × $length tokens, $heads/$kvHeads heads of $headDim, sliding window $slidingWindow",
    async ({ windows, ...shape }) => {
      const { length, heads, kvHeads, headDim } = shape;
      const [qs, ks] = [
        [windows * length, heads * headDim],
        [windows * length, kvHeads * headDim],
      ];
      const [q, k, v] = [random(qs), random(ks), random(ks)];
      await expectTwins(
        gpu,
        (o) => o.attention(o.fromFloats(q, qs), o.fromFloats(k, ks), o.fromFloats(v, ks), shape),
        () => bound(headDim, length),
      );
    },
  );
});

it("scores far apart do not overflow: the largest key wins", async () => {
  const gpu = variants.auto;
  const shape = { heads: 1, kvHeads: 1, headDim: 4, length: 8, slidingWindow: 0 };
  const q = new Float32Array(32).fill(1e4);
  const k = Float32Array.from({ length: 32 }, (_, i) => (Math.floor(i / 4) === 2 ? 1e4 : -1e4));
  const v = Float32Array.from({ length: 32 }, (_, i) => i);
  await expectTwins(
    gpu,
    (o) => o.attention(o.fromFloats(q, [8, 4]), o.fromFloats(k, [8, 4]), o.fromFloats(v, [8, 4]), shape),
    () => 40 * ulp,
  );
});

it("each probability is right to some ulp, however small", async () => {
  // One query of interest in each window of four, whose scores are exact: 0, −a, −2a, −3a. Value j is 1 in column j, so the output is the probabilities.
  const shape = { heads: 1, kvHeads: 1, headDim: 4, length: 4, slidingWindow: 0 };
  const windows = 256;
  const q = Float32Array.from({ length: 16 * windows }, (_, i) => (i % 4 === 0 ? -(2 + Math.floor(i / 16)) / 8 : 0));
  const k = Float32Array.from({ length: 16 * windows }, (_, i) => (i % 4 === 0 ? Math.floor(i / 4) % 4 : 0));
  const v = Float32Array.from({ length: 16 * windows }, (_, i) => (i % 4 === Math.floor(i / 4) % 4 ? 1 : 0));
  const rows = [4 * windows, 4];
  await expectTwins(
    variants.auto,
    (o) => o.attention(o.fromFloats(q, rows), o.fromFloats(k, rows), o.fromFloats(v, rows), shape),
    // Two exps, three sums, 1/x (2.5 ulp) and a product.
    (e) => Float64Array.from(e, (p) => 2 * 7 * ulp * p),
  );
});

it("more heads than fit in the scores' memory go in several rounds", async () => {
  const gpu = await openGpuOps({ budget: 1e5 }); // three heads of this shape at a time
  const shape = { heads: 6, kvHeads: 2, headDim: 4, length: 44, slidingWindow: 0 };
  const [qs, ks] = [
    [88, 24],
    [88, 8],
  ];
  const [q, k, v] = [random(qs), random(ks), random(ks)];
  await expectTwins(
    gpu,
    (o) => o.attention(o.fromFloats(q, qs), o.fromFloats(k, ks), o.fromFloats(v, ks), shape),
    () => bound(4, 44),
  );
});

it("shapes that do not fit are refused in a sentence", () => {
  const gpu = variants.auto;
  const scope = gpu.scope();
  const [q, k] = [gpu.zeros([6, 8]), gpu.zeros([6, 4])];
  const shape = { heads: 2, kvHeads: 1, headDim: 4, length: 3, slidingWindow: 0 };
  expect(() => gpu.attention(q, k, k, { ...shape, length: 4 })).toThrow("attention got 6 × 8");
  expect(() => gpu.attention(q, q, k, shape)).toThrow("attention got");
  expect(() => gpu.attention(q, k, k, { ...shape, kvHeads: 3 })).toThrow("attention got");
  scope.end();
});
