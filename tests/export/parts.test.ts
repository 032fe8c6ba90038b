import { expect, test } from "vitest";
import { partsOf } from "../../src/export/parts";
import { bytesFile } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { tinySource } from "../support/tiny";

test("a tensor that is copied in several parts is the source's from end to end", async () => {
  const model = await openModel(tinySource());
  const [name, before] = [...model.shards.tensors][0];
  const size = 9 * 2 ** 20 + 3;
  const bytes = Uint8Array.from({ length: size + 20 }, (_, i) => (i ^ (i >> 8) ^ (i >> 16)) & 255);
  const tensor = { ...before, file: bytesFile("big", bytes), start: 10, end: 10 + size };
  const big = { ...model, shards: { ...model.shards, tensors: new Map([[name, tensor]]) } };
  const quantized = { layer: async () => null, replaced: new Map(), beyondF16: new Map() };
  const parts: Uint8Array[] = [];
  for await (const part of partsOf(big, quantized).copy(name)) parts.push(part);
  expect(parts.length).toBe(2);
  expect(Buffer.compare(Buffer.concat(parts), bytes.subarray(10, 10 + size))).toBe(0);
  const sizes = [];
  for await (const part of partsOf(big, quantized).copy(name, 3 * 2 ** 20)) sizes.push(part.length);
  expect(sizes).toEqual([6 * 2 ** 20, 3 * 2 ** 20 + 3]);
});
