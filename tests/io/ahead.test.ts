import { expect, test } from "vitest";
import { readingAhead } from "../../src/io/ahead";
import type { Shards } from "../../src/io/types";

const names = ["a", "b", "c", "d"];

/** Tensors of so many bytes, whose reads are written down. A read of `broken` fails. */
function shardsOf(size: number, broken?: string): { shards: Shards; reads: string[] } {
  const reads: string[] = [];
  const info = (name: string) => ({ name, dtype: "F16" as const, shape: [size / 2], start: 0, end: size, file: null as never });
  const shards: Shards = {
    notes: [],
    tensors: new Map([...names, "other"].map((name) => [name, info(name)])),
    async readTensor(name, rows) {
      reads.push(rows ? `${name} ${rows.from} ${rows.to}` : name);
      if (name === broken) throw new Error(`${name} is broken`);
      return Uint8Array.of(name.charCodeAt(0));
    },
  };
  return { shards, reads };
}

const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);

test("what comes next is read while the caller works, each tensor once", async () => {
  const { shards, reads } = shardsOf(2);
  const ahead = readingAhead(shards, names, 192);
  expect(reads).toEqual([]);
  for (const name of names) {
    expect(text(await ahead.readTensor(name))).toBe(name);
    expect(reads).toEqual(names);
  }
});

test("but no more than memory allows, and at least one", async () => {
  const { shards, reads } = shardsOf(150);
  const ahead = readingAhead(shards, names, 192);
  await ahead.readTensor("a");
  expect(reads).toEqual(["a", "b"]);
  await ahead.readTensor("b");
  expect(reads).toEqual(["a", "b", "c"]);
});

test("what is read by rows, out of order or skipped is right too", async () => {
  const { shards, reads } = shardsOf(150);
  const ahead = readingAhead(shards, names, 192);
  await ahead.readTensor("b", { from: 0, to: 1 });
  await ahead.readTensor("other");
  expect(reads).toEqual(["b 0 1", "other"]);
  expect(text(await ahead.readTensor("c"))).toBe("c");
  expect(text(await ahead.readTensor("a"))).toBe("a");
  expect(text(await ahead.readTensor("d"))).toBe("d");
  expect(reads).toEqual(["b 0 1", "other", "c", "d", "a"]);
});

test("a read that fails is told to whoever asks for the tensor, and to nobody else", async () => {
  const { shards } = shardsOf(2, "c");
  const ahead = readingAhead(shards, names, 192);
  for (const name of ["a", "b"]) expect(text(await ahead.readTensor(name))).toBe(name);
  await expect(ahead.readTensor("c")).rejects.toThrow("c is broken");
  expect(text(await ahead.readTensor("d"))).toBe("d");
});
