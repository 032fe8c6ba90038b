import { describe, expect, test } from "vitest";
import { type KPacker, q2K, q3K, q4K, q5K, q6K } from "../../../src/export/gguf/k-blocks";
import { q2_0, q4_0, q4_1, q5_0, q5_1, q8_0 } from "../../../src/export/gguf/plain-blocks";
import { ggmlTypes } from "../../../src/export/gguf/types";
import { f16ToNumber, f16Word } from "../../../src/io/dtype";
import { mulberry32 } from "../../../src/model/random";
import { decode, decoders } from "../../support/ggml";

const next = mulberry32(3);
const below = (n: number) => next() % n;
const integers = (count: number, n: number, from = 0) => Array.from({ length: count }, () => from + below(n));
const [d, m] = [f16Word(0.0123), f16Word(-0.4)];
const [D, M] = [d, m].map(f16ToNumber);

test("the table of types has ggml's numbers and sizes", () => {
  for (const [name, { id, values, bytes }] of Object.entries(ggmlTypes)) expect(decoders[name]).toMatchObject({ id, values, bytes });
});

describe("plain blocks hold d·(code − zero) and d·code + m", () => {
  const cases: [type: string, top: number, pack: (out: Uint8Array, codes: Uint8Array) => void, value: (code: number) => number][] = [
    ["Q4_0", 16, (out, codes) => q4_0(out, 3, codes, 5, d, 8), (q) => D * (q - 8)],
    ["Q4_0", 4, (out, codes) => q4_0(out, 3, codes, 5, d, 2), (q) => D * (q - 2)],
    ["Q4_1", 16, (out, codes) => q4_1(out, 3, codes, 5, d, m), (q) => Math.fround(D * q) + M],
    ["Q5_0", 32, (out, codes) => q5_0(out, 3, codes, 5, d), (q) => D * (q - 16)],
    ["Q5_1", 32, (out, codes) => q5_1(out, 3, codes, 5, d, m), (q) => Math.fround(D * q) + M],
    ["Q8_0", 256, (out, codes) => q8_0(out, 3, codes, 5, d, 128), (q) => D * (q - 128)],
    ["Q2_0", 4, (out, codes) => q2_0(out, 3, codes, 5, f16Word(-D)), (q) => D * (q - 2)],
  ];
  test.each(cases)("%s, %i codes", (type, top, pack, value) => {
    const { values, bytes } = ggmlTypes[type as keyof typeof ggmlTypes];
    const codes = Uint8Array.from(integers(values + 5, top));
    const out = new Uint8Array(bytes + 6);
    pack(out, codes);
    // `Math.abs` of both: 0·(−d) is −0.
    const want = Float32Array.from(codes.subarray(5), value);
    expect(decode(type, out.subarray(3), values).map((x) => x + 0)).toEqual(want.map((x) => x + 0));
    expect([...out.subarray(0, 3), ...out.subarray(3 + bytes)]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe("super-blocks hold d·sc·v − dmin·m", () => {
  interface Case {
    type: keyof typeof ggmlTypes;
    pack: KPacker;
    top: number;
    zero: number;
    parts: number;
    scales: [count: number, from: number];
    mins: number;
  }
  const cases: Case[] = [
    { type: "Q2_K", pack: q2K, top: 4, zero: 0, parts: 16, scales: [16, 0], mins: 16 },
    { type: "Q3_K", pack: q3K, top: 8, zero: 4, parts: 16, scales: [64, -32], mins: 0 },
    { type: "Q4_K", pack: q4K, top: 16, zero: 0, parts: 8, scales: [64, 0], mins: 64 },
    { type: "Q5_K", pack: q5K, top: 32, zero: 0, parts: 8, scales: [64, 0], mins: 64 },
    { type: "Q6_K", pack: q6K, top: 64, zero: 32, parts: 16, scales: [256, -128], mins: 0 },
  ];
  test.each(cases)("$type", ({ type, pack, top, zero, parts, scales: [count, from], mins }) => {
    const { bytes } = ggmlTypes[type];
    for (let round = 0; round < 20; round++) {
      const codes = Uint8Array.from(integers(256 + 7, top));
      const block = { scales: integers(parts, count, from), mins: mins ? integers(parts, mins) : [], d, dmin: f16Word(0.03) };
      const out = new Uint8Array(bytes + 4);
      pack(out, 2, { codes, from: 7, ...block });
      const dmin = f16ToNumber(block.dmin);
      const want = Float32Array.from(codes.subarray(7), (v, i) => {
        const j = Math.floor((i * parts) / 256);
        const offset = mins ? Math.fround(dmin * block.mins[j]) : 0;
        return Math.fround(Math.fround(D * block.scales[j]) * (v - zero)) - offset;
      });
      expect(decode(type, out.subarray(2), 256).map((x) => x + 0)).toEqual(want.map((x) => x + 0));
      expect([out[0], out[1], out[bytes + 2], out[bytes + 3]]).toEqual([0, 0, 0, 0]);
    }
  });
});
