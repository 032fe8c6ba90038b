/** Grids found by search: on the GPU they err no more than the float64 reference's, their parts are what the file can hold, and codes are exact. */
import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/io/dtype";
import { isSuper, type SearchedKind, superKinds, superSize } from "../../src/ops/grid-kinds";
import type { GridSpec, Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, inScope, randoms } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(91);

type Spec = GridSpec & { kind: SearchedKind };
const specs: Spec[] = [
  ...(Object.keys(superKinds) as (keyof typeof superKinds)[]).map((kind) => {
    const { bits, groupSize, mins } = superKinds[kind];
    return { kind, bits, groupSize, symmetric: !mins };
  }),
  { kind: "signed", bits: 4, groupSize: 32, symmetric: true },
  { kind: "signed", bits: 2, groupSize: 64, symmetric: true },
  { kind: "signed", bits: 8, groupSize: 32, symmetric: true },
];

/** Σ importance·√(σ² + w²)·(w − ŵ)² of each row, in float64, from the grid's own points. */
function rowErrors(W: Float32Array, n: number, { bits }: Spec, span: number, importance: Float32Array | null, values: ArrayLike<number>) {
  const rows = W.length / n;
  const double = bits === 4 || bits === 5 ? 2 : 1;
  return Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let b = 0; b < n; b += span) {
      const block = Array.from(W.subarray(r * n + b, r * n + b + span));
      const mean = block.reduce((s, w) => s + w * w, 0) / span;
      for (const [i, w] of block.entries()) {
        const count = importance ? importance[b + i] * Math.sqrt(double * mean + w * w) : Math.sqrt(mean) + Math.abs(w);
        sum += count * (w - values[r * n + b + i]) ** 2;
      }
    }
    return sum;
  });
}

const found = (ops: Ops, W: Float32Array, [out, n]: [number, number], spec: Spec, importance: Float32Array | null) =>
  inScope(ops, async () => {
    const w = ops.fromFloats(W, [out, n]);
    const g = ops.searchGrid(w, spec, importance && ops.fromFloats(importance, [n]));
    const codes = ops.encode(w, g, spec.bits);
    const [scales, zeros, values] = await ops.read([g.scales, g.zeros, ops.decode(codes, g)]);
    const factors = g.factors ? [...(await ops.read([g.factors]))[0]] : null;
    return { scales: [...scales], zeros: [...zeros], values: [...values], factors, codes: [...(await ops.readUints(codes))] };
  });

describe.each(specs)("$kind, $bits bits", (spec) => {
  const span = isSuper(spec.kind) ? superSize : spec.groupSize;
  const [out, n] = [12, 512];
  const importance = random([n]).map((v) => 0.01 + v * v);
  // Ordinary rows, rows with outliers, rows of one sign, a row of zeros and one of tiny weights.
  const W = random([out, n]);
  for (let i = 0; i < n; i++) {
    W[i] *= i % 37 === 0 ? 20 : 1;
    W[n + i] = Math.abs(W[n + i]);
    W[2 * n + i] = -Math.abs(W[2 * n + i]) - 1;
    W[3 * n + i] = 0;
    W[4 * n + i] *= 1e-4;
  }

  it.each([
    { weights: "unweighted", counts: null },
    { weights: "weighted", counts: importance },
  ])("$weights, errs no more than the reference", async ({ counts }) => {
    const [actual, expected] = [await found(gpu, W, [out, n], spec, counts), await found(cpu, W, [out, n], spec, counts)];
    const [a, e] = [actual, expected].map(({ values }) => rowErrors(W, n, spec, span, counts, values));
    for (let r = 0; r < out; r++) expect(a[r], `row ${r}`).toBeLessThanOrEqual(1.01 * e[r]);
    // And the reference's no more than a plain grid of as many bits in the same groups.
    const plain = await inScope(cpu, async () => {
      const w = cpu.fromFloats(W, [out, n]);
      const g = cpu.grid(w, { bits: spec.bits, groupSize: spec.groupSize, symmetric: spec.symmetric });
      return (await cpu.read([cpu.decode(cpu.encode(w, g, spec.bits), g)]))[0];
    });
    const p = rowErrors(W, n, spec, span, counts, plain);
    const all = (errors: number[]) => errors.slice(5).reduce((x, y) => x + y, 0);
    expect(all(e)).toBeLessThan((isSuper(spec.kind) ? 1.1 : 1) * all(p));
  });

  it("has parts that the file can hold, and the nearest codes", async () => {
    const { scales, zeros, factors, codes, values } = await found(gpu, W, [out, n], spec, importance);
    const groups = n / spec.groupSize;
    for (let g = 0; g < scales.length; g++) {
      const [S, M] = [scales[g], zeros[g]];
      if (isSuper(spec.kind)) {
        const { scales: bounds, mins } = superKinds[spec.kind];
        const block = Math.floor((g * spec.groupSize) / superSize);
        const [d, dmin] = [factors![2 * block], factors![2 * block + 1]];
        expect([toF16(d), toF16(dmin)]).toEqual([d, dmin]);
        const s = d === 0 ? 0 : S / d;
        expect(s >= bounds[0] && s <= bounds[1] && Number.isInteger(s)).toBe(true);
        const m = dmin === 0 ? 0 : M / dmin;
        if (mins) expect(m >= bounds[0] && m <= bounds[1] && Number.isInteger(m)).toBe(true);
        else expect(M === S * 2 ** (spec.bits - 1)).toBe(true);
      } else {
        expect([toF16(S), M]).toEqual([S, S * 2 ** (spec.bits - 1)]);
      }
    }
    const top = 2 ** spec.bits - 1;
    for (let i = 0; i < codes.length; i++) {
      const g = Math.floor(i / n) * groups + Math.floor((i % n) / spec.groupSize);
      const point = (code: number) => scales[g] * code - zeros[g];
      expect(codes[i]).toBeLessThanOrEqual(top);
      expect(values[i]).toBe(Math.fround(point(codes[i])));
      if (scales[g] === 0) expect(codes[i]).toBe(0);
      else
        for (const c of [codes[i] - 1, codes[i] + 1].filter((c) => c >= 0 && c <= top))
          expect(Math.abs(W[i] - point(codes[i]))).toBeLessThanOrEqual(Math.abs(W[i] - point(c)));
    }
  });
});
