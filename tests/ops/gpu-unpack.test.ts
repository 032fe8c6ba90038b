import { expect, it } from "vitest";
import { toFloats } from "../../src/io/dtype";
import { openGpuOps } from "../support/gpu";

const gpu = await openGpuOps();
const bits = (x: ArrayLike<number>) => new Uint32Array(Float32Array.from(x).buffer);

it.each(["F16", "BF16"] as const)("all 65536 values of %s, to the bit", async (dtype) => {
  const bytes = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
  const [actual] = await gpu.read([gpu.fromBytes(bytes, dtype, [65536])]);
  const [a, e] = [bits(actual), bits(toFloats(bytes, dtype))];
  const nan = (b: number) => (b & 0x7fffffff) > 0x7f800000;
  const wrong = [...a.keys()].filter((i) => a[i] !== e[i] && !(nan(a[i]) && nan(e[i])));
  expect(wrong.map((i) => `${i.toString(16)}: ${a[i].toString(16)}, not ${e[i].toString(16)}`)).toEqual([]);
});

it.each([1, 2, 3, 5, 64, 129])("%i elements at an odd byte offset, every type", async (n) => {
  for (const dtype of ["F16", "BF16", "F32"] as const) {
    const size = n * (dtype === "F32" ? 4 : 2);
    const bytes = Uint8Array.from({ length: size + 3 }, (_, i) => (i * 89 + 1) % 120).subarray(3);
    const [actual] = await gpu.read([gpu.fromBytes(bytes, dtype, [n])]);
    expect([...bits(actual)]).toEqual([...bits(toFloats(bytes, dtype))]);
  }
});

it("floats and uints come back as they went in; several in one read", async () => {
  const f = gpu.fromFloats([1.5, -0, 3e38], [3]);
  const u = gpu.fromUints([0, 4294967295, 7], [3]);
  const none = gpu.fromFloats([], [0, 5]);
  const [a, b, c] = await gpu.read([f, none, f]);
  expect([...a]).toEqual([1.5, -0, Math.fround(3e38)]);
  expect(b.length).toBe(0);
  expect(c).toEqual(a);
  expect([...(await gpu.readUints(u))]).toEqual([0, 4294967295, 7]);
});

it("wrong lengths are refused in a sentence", () => {
  expect(() => gpu.fromFloats([1, 2], [3])).toThrow("float tensor got 2 numbers for the shape 3");
  expect(() => gpu.fromUints([1, 2], [3])).toThrow("uint tensor got 2 numbers for the shape 3");
  expect(() => gpu.fromBytes(new Uint8Array(5), "F16", [3])).toThrow("fromBytes got 5 bytes of F16 for the shape 3");
});
