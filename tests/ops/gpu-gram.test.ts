import { describe, expect, it } from "vitest";
import { openGpuOps } from "../support/gpu";
import { absolute, compute, cpu, expectTwins, randoms, times, ulp } from "./helpers";

const variants = { tiled: await openGpuOps({ matmul: "tiled" }), auto: await openGpuOps() };
const random = randoms(5);

const shapes = [
  [1, 1],
  [3, 15],
  [16, 16],
  [17, 20],
  [130, 64],
  [511, 33],
  [512, 36],
  [1300, 61],
  [40, 172],
  [9, 1000],
];

describe.each(Object.entries(variants))("%s", (_, gpu) => {
  it.each(shapes)("gram and mirror of %i tokens, %i inputs", async (T, n) => {
    const x = random([T, n]);
    const sizes = await compute([[absolute(x), [T, n]]], (a) => {
      const H = cpu.zeros([n, n]);
      cpu.gram(H, a);
      cpu.mirror(H);
      return H;
    });
    // A sum runs over at most 512 tokens; then come the runs, twice, as H is added to.
    const terms = Math.min(T, 512) + 2 * Math.ceil(T / 512) + 2;
    await expectTwins(
      gpu,
      (o) => {
        const H = o.zeros([n, n]);
        const X = o.fromFloats(x, [T, n]);
        o.gram(H, X);
        o.gram(H, X);
        o.mirror(H);
        return H;
      },
      () => times(sizes, 2 * terms * ulp),
    );
  });

  it.each(shapes)("crossGram of %i tokens, %i inputs, the streams nearly alike", async (T, n) => {
    const xq = random([T, n]);
    const x = Float32Array.from(random([T, n]), (d, i) => xq[i] + 1e-4 * d);
    const difference = Float64Array.from(x, (v, i) => Math.abs(v - xq[i]));
    const sizes = await compute(
      [
        [difference, [T, n]],
        [absolute(xq), [T, n]],
      ],
      (d, q) => {
        const C = cpu.zeros([n, n]);
        cpu.crossGram(C, d, q);
        return C;
      },
    );
    const terms = Math.min(T, 512) + Math.ceil(T / 512) + 3;
    await expectTwins(
      gpu,
      (o) => {
        const C = o.zeros([n, n]);
        const q = o.fromFloats(xq, [T, n]);
        o.crossGram(C, o.add(o.fromFloats(x, [T, n]), q, -1), q);
        return C;
      },
      () => times(sizes, terms * ulp),
    );
  });

  it("refuses shapes that do not fit, in a sentence", () => {
    const scope = gpu.scope();
    const [H, x, y] = [gpu.zeros([4, 4]), gpu.zeros([9, 5]), gpu.zeros([8, 4])];
    expect(() => gpu.gram(H, x)).toThrow("gram got 4 × 4 and 9 × 5");
    expect(() => gpu.crossGram(H, gpu.zeros([9, 4]), y)).toThrow("crossGram got");
    expect(() => gpu.mirror(x)).toThrow("mirror got 9 × 5");
    scope.end();
  });
});
