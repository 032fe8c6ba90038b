import { existsSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dtypeBytes } from "../../src/io/dtype";
import { readHeader } from "../../src/io/header";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { folderSource } from "../../src/io/node";
import { openShards } from "../../src/io/shards";
import type { Dtype } from "../../src/io/types";
import { CheckpointWriter, layoutFile, layoutShards, specBytes, type TensorSpec, writeFile } from "../../src/io/writer";
import { failure } from "./helpers";

const spec = (name: string, dtype: Dtype = "U8", shape: number[] = [4]): TensorSpec => ({ name, dtype, shape });

/** Writes bytes that depend on tensor and position, in pieces; gives the sink's files. */
async function writeAll(tensors: TensorSpec[], maxBytes: number, piece = 7) {
  const sink = memorySink();
  const layout = layoutShards(tensors, maxBytes, new Map([["k", "v"]]));
  const writer = new CheckpointWriter(layout, sink);
  const contents = tensors.map((t, i) => Uint8Array.from({ length: specBytes(t) }, (_, k) => (31 * i + k) & 255));
  for (const [i, t] of tensors.entries()) {
    expect(writer.next).toBe(t);
    for (let at = 0; at === 0 || at < contents[i].length; at += piece) await writer.write(t.name, contents[i].subarray(at, at + piece));
  }
  expect(writer.next).toBeUndefined();
  await writer.end();
  await sink.finish();
  return { sink, layout, contents };
}

describe("layoutFile", () => {
  it("frames the header: length, JSON with format pt first, spaces up to 8", () => {
    const { header, size } = layoutFile([spec("a", "F16", [2, 3]), spec("b", "I32", [])], new Map([["k", 'v"']]));
    const json = new TextDecoder().decode(header.subarray(8));
    expect(json.trimEnd()).toBe(
      '{"__metadata__":{"format":"pt","k":"v\\""},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"I32","shape":[],"data_offsets":[12,16]}}',
    );
    expect(json.length - json.trimEnd().length).toBeLessThan(8);
    expect([header.length % 8, Number(new DataView(header.buffer).getBigUint64(0, true)), size]).toEqual([
      0,
      json.length,
      header.length + 16,
    ]);
  });

  it("refuses doubled names, the reserved name, and impossible shapes", async () => {
    for (const bad of [
      [spec("a"), spec("a")],
      [spec("__metadata__")],
      [spec("a", "U8", [-1])],
      [spec("a", "U8", [1.5])],
      [spec("a", "F32", [2 ** 52])],
    ]) {
      expect(await failure(() => layoutFile(bad))).toMatch(/^internal: /);
    }
  });

  it("keeps the order of names that an object would reorder", async () => {
    const { header, size } = layoutFile([spec("b"), spec("1"), spec("__proto__"), spec("0")]);
    const bytes = new Uint8Array(size);
    bytes.set(header);
    expect((await readHeader(bytesFile("m", bytes))).tensors.map((t) => t.name)).toEqual(["b", "1", "__proto__", "0"]);
  });
});

describe("layoutShards", () => {
  it("cuts before the limit is passed, gives a large tensor its own shard, and indexes all", () => {
    const tensors = [spec("a"), spec("b"), spec("c"), spec("big", "U8", [100]), spec("d")];
    const layout = layoutShards(tensors, 8);
    expect(layout.shards.map((s) => s.tensors.map((t) => t.name).join())).toEqual(["a,b", "c", "big", "d"]);
    expect(layout.shards.map((s) => s.name)).toEqual([1, 2, 3, 4].map((i) => `model-0000${i}-of-00004.safetensors`));
    expect(layout.index!.name).toBe("model.safetensors.index.json");
    expect(JSON.parse(new TextDecoder().decode(layout.index!.bytes))).toEqual({
      metadata: { total_size: 116 },
      weight_map: {
        a: layout.shards[0].name,
        b: layout.shards[0].name,
        c: layout.shards[1].name,
        big: layout.shards[2].name,
        d: layout.shards[3].name,
      },
    });
    for (const s of layout.shards) expect(s.size).toBe(s.header.length + s.tensors.reduce((sum, t) => sum + specBytes(t), 0));
  });

  it("has one file and no index when all fits", () => {
    const layout = layoutShards([spec("a"), spec("b")], 8);
    expect([layout.shards.length, layout.shards[0].name, layout.index, layout.totalSize]).toEqual([1, "model.safetensors", undefined, 8]);
  });

  it("refuses one name in two shards", async () =>
    expect(await failure(() => layoutShards([spec("a"), spec("a")], 4))).toMatch(/^internal/));
});

describe("CheckpointWriter", () => {
  it("writes what openShards reads", async () => {
    const { sink, contents, layout } = await writeAll([spec("a", "F32", [3]), spec("z", "F16", [0, 4]), spec("b", "BF16", [5, 2])], 12);
    expect([...sink.files.keys()]).toEqual([...layout.shards.map((s) => s.name), "model.safetensors.index.json"]);
    const shards = await openShards(
      memorySource(
        "m",
        [...sink.files].map(([n, b]) => bytesFile(n, b)),
      ),
    );
    expect(await shards.readTensor("b", { from: 1, to: 3 })).toEqual(contents[2].subarray(4, 12));
  });

  it("writes a checkpoint without tensors as one empty file", async () => {
    const { sink } = await writeAll([], 12);
    expect([...sink.files.keys()]).toEqual(["model.safetensors"]);
    expect((await readHeader(bytesFile("m", sink.files.get("model.safetensors")!))).tensors).toEqual([]);
  });

  it("refuses another order, too many bytes, and an early end", async () => {
    const make = () => new CheckpointWriter(layoutShards([spec("a"), spec("b")], 100), memorySink());
    expect(await failure(make().write("b", new Uint8Array(4)))).toMatch(/^internal: tensor b was written where a was expected/);
    expect(await failure(make().write("a", new Uint8Array(5)))).toMatch(/^internal: tensor a has 4 bytes but gets 5/);
    const half = make();
    await half.write("a", new Uint8Array(3));
    expect(await failure(half.write("b", new Uint8Array(4)))).toMatch(/where a was expected/);
    expect(await failure(half.end())).toMatch(/^internal: tensor a was not written completely/);
    const full = make();
    await full.write("a", new Uint8Array(4));
    await full.write("b", new Uint8Array(4));
    expect(await failure(full.write("b", new Uint8Array(1)))).toMatch(/where the end was expected/);
  });

  it("gives back any list of tensors, any cut, byte for byte", async () => {
    const dtypes = Object.keys(dtypeBytes) as Dtype[];
    const anyName = fc.string({
      unit: fc.oneof(fc.constantFrom('"', "\\", "\u0000", "\n", "\u2028", "é"), fc.string({ unit: "binary", minLength: 1, maxLength: 1 })),
      maxLength: 12,
    });
    const anyTensor = fc.record({
      name: anyName.filter((n) => n !== "__metadata__" && n !== "__proto__"),
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    });
    const anyList = fc.uniqueArray(anyTensor, { selector: (t) => t.name, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(anyList, fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 50 }), async (tensors, maxBytes, piece) => {
        const { sink, contents } = await writeAll(tensors, maxBytes, piece);
        const shards = await openShards(
          memorySource(
            "m",
            [...sink.files].map(([n, b]) => bytesFile(n, b)),
          ),
        );
        expect([...shards.tensors.keys()].sort()).toEqual(tensors.map((t) => t.name).sort());
        for (const [i, t] of tensors.entries()) {
          expect(shards.tensors.get(t.name)).toMatchObject(t);
          expect(await shards.readTensor(t.name)).toEqual(contents[i]);
        }
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});

const demo = new URL("../../public/demo/model", import.meta.url).pathname;
describe.skipIf(!existsSync(`${demo}/config.json`))("the demo model", () => {
  it("opens, and written anew in small shards holds the same tensors", async () => {
    const shards = await openShards(await folderSource(demo));
    const tensors = [...shards.tensors.values()];
    expect(tensors.length).toBeGreaterThan(10);
    const sink = memorySink();
    const layout = layoutShards(tensors, 500_000);
    expect(layout.shards.length).toBeGreaterThan(2);
    const writer = new CheckpointWriter(layout, sink);
    for (const t of tensors) await writer.write(t.name, await shards.readTensor(t.name));
    await writer.end();
    await writeFile(sink, "config.json", new TextEncoder().encode("{}"));
    const copy = await openShards(
      memorySource(
        "copy",
        [...sink.files].map(([n, b]) => bytesFile(n, b)),
      ),
    );
    for (const t of tensors) expect(Buffer.compare(await copy.readTensor(t.name), await shards.readTensor(t.name))).toBe(0);
  });
});
