import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { sha256, watched } from "../../src/io/digest";
import { openShards } from "../../src/io/shards";
import { tinySource, tinyTensors } from "../support/tiny";

const [a, b] = ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"];

test("SHA-256 is Node's", async () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * i) & 255);
  expect(await sha256(bytes)).toBe(createHash("sha256").update(bytes).digest("hex"));
});

test("a digest is of what was read since the last one, in any order and however often, and of nothing else", async () => {
  const { shards, digest } = watched(await openShards(tinySource()));
  expect(await digest()).toBe(null);
  const read = async (...names: string[]) => {
    for (const name of names) await shards.readTensor(name);
    return digest();
  };
  const both = await read(a, b);
  expect(await read(b, a, b)).toBe(both);
  expect(await read(a)).not.toBe(both);
  await shards.readTensor(a, { from: 0, to: 3 });
  const rows = await digest();
  await shards.readTensor(a, { from: 1, to: 4 });
  expect(await digest()).not.toBe(rows);
  const tensors = tinyTensors();
  tensors.get(b)!.bytes[0] ^= 1;
  const other = watched(await openShards(tinySource(undefined, tensors)));
  for (const name of [a, b]) await other.shards.readTensor(name);
  expect(await other.digest()).not.toBe(both);
});
