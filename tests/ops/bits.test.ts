import fc from "fast-check";
import { expect, test } from "vitest";
import { packBits, unpackBits } from "../../src/ops/bits";

test("three bits: 32 values in three words, low bits first", () => {
  const values = Array.from({ length: 32 }, (_, i) => (i * 5 + 3) % 8);
  const words = packBits(values, 3);
  expect(words).toHaveLength(3);
  const low = (from: number, to: number, shift: number) => values.slice(from, to).reduce((w, v, i) => w + v * 2 ** (3 * i + shift), 0);
  expect(words[0]).toBe((low(0, 10, 0) + (values[10] & 3) * 2 ** 30) >>> 0);
  expect(words[1]).toBe(((values[10] >> 2) + low(11, 21, 1) + (values[21] & 1) * 2 ** 31) >>> 0);
  expect(words[2]).toBe(((values[21] >> 1) + low(22, 32, 2)) >>> 0);
});

test.each([2, 3, 4, 8])("%i bits round-trip at any length", (bits) => {
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** bits - 1), { maxLength: 100 }), (values) => {
      const packed = packBits(values, bits);
      expect(packed).toHaveLength(Math.ceil((values.length * bits) / 32));
      expect([...unpackBits(packed, bits, values.length)]).toEqual(values);
    }),
  );
});

test.each([2, 3, 4, 8])("rows of %i bits, each in whole words", (bits) => {
  const rows = [0, 1, 2].map((row) => Array.from({ length: 37 }, (_, i) => (7 * i + row) % 2 ** bits));
  const packed = rows.map((values) => packBits(values, bits));
  const words = Uint32Array.from(packed.flatMap((row) => [...row]));
  expect([...unpackBits(words, bits, 37, 3)]).toEqual(rows.flat());
});
