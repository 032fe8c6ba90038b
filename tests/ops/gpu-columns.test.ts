import { describe, expect, it } from "vitest";
import type { GridKind } from "../../src/ops/grid-kinds";
import type { Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";
import { cpu, expectWithin, inScope, randoms, ulp } from "./helpers";

const gpu = await openGpuOps();
const random = randoms(23);
const shuffled = (n: number) => Array.from({ length: n }, (_, i) => (i * 7 + 3) % n); // n no multiple of 7

it.each([1, 5, 64, 130])("descendingDiagonal of %i is a stable order", async (n) => {
  const H = new Float32Array(n * n);
  // Inputs of which one in eleven is dead: it stands where the mean would.
  for (let j = 0; j < n; j++) H[j * n + j] = (j * 5) % 11;
  const order = async (o: Ops) => [...(await o.readUints(o.descendingDiagonal(o.fromFloats(H, [n, n]))))];
  expect(await order(gpu)).toEqual(await order(cpu));
});

it.each([1, 5, 33, 64])("permutations of %i are exact and invert each other", async (n) => {
  const [A, W] = [random([n, n]), random([9, n])];
  const work = async (o: Ops) =>
    inScope(o, async () => {
      const index = o.fromUints(shuffled(n), [n]);
      const [a, w] = [o.fromFloats(A, [n, n]), o.fromFloats(W, [9, n])];
      const squares = [
        o.permuteSquare(a, index, false),
        o.permuteSquare(a, index, true),
        o.permuteSquare(a, null, true),
        o.permuteSquare(a, null, false),
      ];
      const gathered = o.gatherColumns(w, index);
      const floats = await o.read([...squares, gathered, o.scatterColumns(gathered, index)]);
      const codes = o.gatherColumns(
        o.fromUints(
          Array.from({ length: 9 * n }, (_, i) => i),
          [9, n],
        ),
        index,
      );
      return { floats: floats.map((f) => [...f]), codes: [...(await o.readUints(codes))], kind: codes.kind };
    });
  const actual = await work(gpu);
  expect(actual).toEqual(await work(cpu));
  expect(actual.floats[5]).toEqual([...W]);
  expect(actual.kind).toBe("uint");
});

describe.each([2, 3, 4, 8])("%i bits", (bits) => {
  it.each([1, 10, 11, 32, 33, 101])("pack and unpack rows of %i", async (n) => {
    const codes = Array.from({ length: 3 * n }, (_, i) => (i * 2654435761) % 2 ** bits);
    const words = async (o: Ops) => [...(await o.readUints(o.pack(o.fromUints(codes, [3, n]), bits)))];
    expect(await words(gpu)).toEqual(await words(cpu));
    const back = gpu.unpack(gpu.pack(gpu.fromUints(codes, [3, n]), bits), bits, n);
    expect(back.shape).toEqual([3, n]);
    expect([...(await gpu.readUints(back))]).toEqual(codes);
  });
});

interface Blocks {
  out: number;
  n: number;
  width: number;
  groupSize: number;
  ordered: boolean;
  corrected: boolean;
  kind?: GridKind;
}

describe("roundColumns", () => {
  /** All blocks of W's columns; the codes, and what is left in the columns after the first block. */
  const run = (o: Ops, at: Blocks, W: Float32Array, U: Float32Array, P: Float32Array) =>
    inScope(o, async () => {
      const { out, n, width, groupSize, ordered, corrected, kind } = at;
      const w = o.fromFloats(W, [out, n]);
      const spec = { bits: 4, groupSize, symmetric: false, kind };
      const job = {
        ...{ W: o.add(w, w, 0), U: o.fromFloats(U, [n, n]), codes: o.fromUints(new Uint32Array(out * n), [out, n]) },
        ...{ errors: o.zeros([out, width]), grid: o.grid(w, spec), bits: 4, groupSize },
        P: corrected ? o.fromFloats(P, [n, n]) : null,
        order: ordered ? o.fromUints(shuffled(n), [n]) : null,
      };
      o.roundColumns(job, 0, Math.min(width, n));
      const [left] = await o.read([job.W]);
      const rest = left.filter((_, i) => i % n >= width);
      for (let from = width; from < n; from += width) o.roundColumns(job, from, Math.min(from + width, n));
      return { rest, codes: await o.readUints(job.codes) };
    });

  it.each([
    { out: 1, n: 1, width: 8, groupSize: -1, ordered: false, corrected: false },
    { out: 5, n: 20, width: 8, groupSize: 4, ordered: false, corrected: false },
    { out: 17, n: 64, width: 32, groupSize: 32, ordered: true, corrected: false },
    { out: 33, n: 101, width: 128, groupSize: -1, ordered: true, corrected: false },
    { out: 19, n: 160, width: 128, groupSize: 16, ordered: false, corrected: false },
    { out: 7, n: 52, width: 10, groupSize: 4, ordered: false, corrected: true },
    { out: 17, n: 96, width: 32, groupSize: 32, ordered: true, corrected: true },
    { out: 19, n: 160, width: 128, groupSize: 16, ordered: false, corrected: false, kind: "real-zero" as const },
    { out: 17, n: 96, width: 32, groupSize: 32, ordered: true, corrected: true, kind: "real-zero" as const },
  ])("$out × $n by $width, groups of $groupSize, ordered $ordered, with P $corrected", async (at) => {
    const { out, n, width } = at;
    const W = random([out, n]);
    // Dominant diagonal, as the factor of a damped H has; feedback large enough to change many codes.
    const U = random([n, n]).map((x, i) => (i % n < Math.floor(i / n) ? 0 : i % (n + 1) === 0 ? 2 + x : 0.3 * x));
    const P = random([n, n]).map((x, i) => (i % n > Math.floor(i / n) ? 0.1 * x : 0));
    const [actual, expected] = [await run(gpu, at, W, U, P), await run(cpu, at, W, U, P)];
    // A weight near a tie may fall to the other side, after which its row goes another way: 99.5 % must be equal.
    const differ = actual.codes.reduce((sum, c, i) => sum + (c === expected.codes[i] ? 0 : 1), 0);
    expect(differ).toBeLessThanOrEqual(0.005 * out * n);
    const rows = new Set<number>();
    for (const [i, c] of actual.codes.entries()) if (c !== expected.codes[i]) rows.add(Math.floor(i / n));
    const kept = (x: ArrayLike<number>) => Float64Array.from(x).filter((_, i) => !rows.has(Math.floor(i / Math.max(n - width, 1))));
    expectWithin(kept(actual.rest), kept(expected.rest), 4 * (width + 4) * ulp * 8);
    const plain = await cpu.readUints(
      cpu.encode(cpu.fromFloats(W, [out, n]), cpu.grid(cpu.fromFloats(W, [out, n]), { bits: 4, groupSize: -1, symmetric: false }), 4),
    );
    if (n > 8) expect(actual.codes.some((c, i) => c !== plain[i])).toBe(true);
  });

  it.each(["U", "P"])("what many columns leave through %s counts, however little each", async (through) => {
    // 127 columns of ¼ leave 2⁻²⁵ each to the last one, a quarter of the last digit of its 1½; together they take it off the tie.
    const n = 128;
    const little = (on: boolean, sign: number) =>
      Float32Array.from({ length: n * n }, (_, i) => (on && i % n === n - 1 && i < n * (n - 1) ? sign * 2 ** -23 : 0));
    const W = new Float32Array(n).fill(0.25).fill(1.5, n - 1);
    const U = little(through === "U", 1).map((x, i) => (i % (n + 1) === 0 ? 1 : x));
    const { codes, errors } = await inScope(gpu, async () => {
      const job = {
        ...{ W: gpu.fromFloats(W, [1, n]), U: gpu.fromFloats(U, [n, n]), codes: gpu.fromUints(new Uint32Array(n), [1, n]) },
        ...{
          errors: gpu.zeros([1, n]),
          grid: { kind: "integer-zero" as const, scales: gpu.fromFloats([1], [1, 1]), zeros: gpu.fromFloats([8], [1, 1]) },
        },
        ...{ bits: 4, groupSize: -1, order: null, P: through === "P" ? gpu.fromFloats(little(true, -1), [n, n]) : null },
      };
      gpu.roundColumns(job, 0, n);
      return { codes: await gpu.readUints(job.codes), errors: (await gpu.read([job.errors]))[0] };
    });
    expect([...codes]).toEqual(Array.from({ length: n }, (_, i) => (i < n - 1 ? 8 : 9)));
    if (through === "U") expect(errors[n - 1]).toBe(Math.fround(0.5 - 127 * 2 ** -25));
  });

  it("refuses what does not fit, in a sentence", () => {
    const scope = gpu.scope();
    const job = {
      ...{ W: gpu.zeros([2, 8]), U: gpu.zeros([8, 8]), codes: gpu.fromUints(new Uint32Array(16), [2, 8]), errors: gpu.zeros([2, 4]) },
      ...{
        grid: { kind: "integer-zero" as const, scales: gpu.zeros([2, 1]), zeros: gpu.zeros([2, 1]) },
        bits: 4,
        groupSize: -1,
        order: null,
      },
    };
    expect(() => gpu.roundColumns(job, 0, 5)).toThrow("roundColumns got columns 0 to 5 of 8");
    expect(() => gpu.roundColumns(job, 6, 10)).toThrow("roundColumns got columns 6 to 10 of 8");
    expect(() => gpu.roundColumns({ ...job, U: gpu.zeros([4, 4]) }, 0, 4)).toThrow("roundColumns got 2 × 8 and 4 × 4");
    scope.end();
  });
});

it("shapes that do not fit are refused in a sentence", () => {
  const scope = gpu.scope();
  const [A, index] = [gpu.zeros([3, 4]), gpu.fromUints([0, 1, 2], [3])];
  expect(() => gpu.gatherColumns(A, index)).toThrow("gatherColumns got 3 × 4 and an index of 3");
  expect(() => gpu.scatterColumns(A, index)).toThrow("scatterColumns got 3 × 4 and an index of 3");
  expect(() => gpu.permuteSquare(A, index, false)).toThrow("permuteSquare got 3 × 4");
  expect(() => gpu.descendingDiagonal(A)).toThrow("descendingDiagonal got 3 × 4");
  expect(() => gpu.pack(A, 4)).toThrow("pack got floats of 3 × 4");
  expect(() => gpu.unpack(index, 4, 99)).toThrow("unpack got 3 words for 99 columns of 4 bits");
  scope.end();
});
