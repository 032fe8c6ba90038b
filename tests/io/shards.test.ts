import { describe, expect, it } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import type { SourceFile } from "../../src/io/types";
import { failure, tensorFile } from "./helpers";

const A = "model-00001-of-00002.safetensors";
const B = "model-00002-of-00002.safetensors";
const fileA = tensorFile(A, [
  ["a", "F16", [3, 2]],
  ["s", "F32", []],
]);
const fileB = tensorFile(B, [["b", "U8", [4]]]);
const indexFile = (map: unknown) =>
  bytesFile("model.safetensors.index.json", JSON.stringify({ metadata: { total_size: 20 }, weight_map: map }));
const good = indexFile({ a: A, s: A, b: B });
const open = (...files: SourceFile[]) => openShards(memorySource("model", files));

describe("openShards", () => {
  it("joins shards with an index, without one, and a single file", async () => {
    for (const files of [[fileA, fileB, good], [fileA, fileB], [tensorFile("model.safetensors", [["a", "F16", [3, 2]]])]]) {
      const { tensors } = await open(...files);
      expect(tensors.get("a")).toMatchObject({ name: "a", dtype: "F16", shape: [3, 2], file: files[0] });
      expect(tensors.size).toBe(files.length === 1 ? 1 : 3);
    }
  });

  it("reads tensors and rows of them", async () => {
    const shards = await open(fileA, fileB);
    expect(await shards.readTensor("a")).toEqual(new Uint8Array(12).fill(1));
    expect(await shards.readTensor("a", { from: 1, to: 3 })).toEqual(new Uint8Array(8).fill(1));
    expect(await shards.readTensor("a", { from: 2, to: 2 })).toEqual(new Uint8Array(0));
    expect(await shards.readTensor("s")).toEqual(new Uint8Array(4).fill(2));
    expect(await shards.readTensor("b", { from: 1, to: 2 })).toEqual(Uint8Array.of(1));
    expect(await failure(shards.readTensor("c"))).toMatch(/^missing-tensor: c/);
    expect(await failure(shards.readTensor("a", { from: 0, to: 4 }))).toMatch(/^internal: rows 0 to 4 of a/);
    expect(await failure(shards.readTensor("s", { from: 0, to: 1 }))).toMatch(/^internal/);
  });

  it("takes the right rows", async () => {
    const { name, size } = fileA;
    const bytes = await fileA.read(0, size);
    bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], size - 16);
    const shards = await open(bytesFile(name, bytes), fileB);
    expect([...(await shards.readTensor("a", { from: 1, to: 2 }))]).toEqual([5, 6, 7, 8]);
  });

  it("ignores safetensors that the index does not know", async () => {
    const extra = tensorFile("consolidated.safetensors", [["a", "F16", [3, 2]]]);
    expect((await open(fileA, fileB, good, extra)).tensors.size).toBe(3);
  });

  const cases: [string, SourceFile[], RegExp][] = [
    ["no safetensors", [bytesFile("config.json", "{}")], /^missing-file: \*\.safetensors \(none in model\)/],
    ["another format", [bytesFile("pytorch_model.bin", "")], /^missing-file: pytorch_model.bin is in PyTorch's pickle format/],
    [
      "a missing shard of the index",
      [fileA, good],
      /^missing-file: model-00002-of-00002.safetensors \(named by model.safetensors.index.json\)/,
    ],
    ["all shards of the index missing", [good], new RegExp(`^missing-file: ${A}, ${B} `)],
    ["a missing shard of a series", [fileB], new RegExp(`^missing-file: ${A} \\(promised by`)],
    [
      "missing shards of a long series",
      [tensorFile("m-00002-of-00004.safetensors", [])],
      /m-00001-of-00004.safetensors, m-00003-of-00004.safetensors, m-00004-of-00004.safetensors/,
    ],
    [
      "several files that could be the model",
      [tensorFile("x.safetensors", [["a", "U8", [1]]]), tensorFile("y.safetensors", [["b", "U8", [1]]])],
      /^contradiction: several files could be the model: x.safetensors, y.safetensors/,
    ],
    [
      "one tensor in two shards",
      [tensorFile(A, [["a", "U8", [1]]]), tensorFile(B, [["a", "U8", [1]]])],
      /^contradiction: tensor a is in model-00001-of-00002.safetensors and in model-00002/,
    ],
    ["two files of one name", [fileA, fileA, fileB], /^contradiction: two files are called/],
    ["an index that is no JSON", [fileA, fileB, bytesFile(good.name, "{")], /^bad-json: model.safetensors.index.json/],
    ["an index that is a list", [fileA, bytesFile(good.name, "[]")], /^bad-file: .*no weight_map/],
    ["a weight_map that is a list", [fileA, indexFile([A])], /^bad-file: .*no weight_map/],
    ["a weight_map of numbers", [fileA, indexFile({ a: 1 })], /^bad-file: .*a has no file name/],
    ["an empty weight_map", [fileA, indexFile({})], /^bad-file: .*empty/],
    ["a broken shard", [bytesFile("model.safetensors", new Uint8Array(20))], /^bad-safetensors: model.safetensors/],
  ];
  it.each(cases)("refuses %s", async (_name, files, message) => expect(await failure(open(...files))).toMatch(message));

  it.each(["../x.safetensors", "a/b.safetensors", "a\\b.safetensors", "..", "", "C:x", "a\u0000b"])(
    "refuses the file name %j",
    async (name) => {
      expect(await failure(open(fileA, fileB, indexFile({ a: name })))).toMatch(/^bad-file: .*not a plain file name/);
    },
  );

  it("is not flooded by a hostile series", async () => {
    const message = await failure(open(tensorFile("m-1-of-999999.safetensors", [])));
    expect(message).toMatch(/and 999948 more/);
    expect(message.length).toBeLessThan(5000);
  });
});
