import { describe, expect, test } from "vitest";
import { gguf } from "../../../src/export/containers/gguf";
import { bool, f32, f32s, i32s, type Metadata, text, texts, u32 } from "../../../src/export/gguf/metadata-values";
import { readGguf } from "../../../src/export/gguf/reader";
import type { GgmlType } from "../../../src/export/gguf/types";
import { bytesFile, memorySink, memorySource } from "../../../src/io/memory";
import { mulberry32 } from "../../../src/model/random";
import { parseGguf } from "../../support/ggml";

const metadata: Metadata = new Map([
  ["general.architecture", text("llama")],
  ["a.count", u32(2 ** 32 - 1)],
  ["a.ratio", f32(0.1)],
  ["a.yes", bool(true)],
  ["a.tokens", texts(["", "\uFEFFﾞ", "a b"])],
  ["a.types", i32s([1, -2])],
  ["a.scores", f32s([-1.5, 0])],
]);

const entries: { name: string; dtype: GgmlType; shape: number[] }[] = [
  { name: "one", dtype: "F32", shape: [3] },
  { name: "two.weight", dtype: "Q4_0", shape: [2, 64] },
  { name: "six", dtype: "F16", shape: [5, 2] },
];
const dataOf = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i % 100) + 1);

async function written(): Promise<Uint8Array> {
  const sink = memorySink();
  const writer = gguf("m.gguf", metadata).layout(entries).writer(sink);
  await writer.write("one", dataOf(12));
  await writer.write("two.weight", dataOf(40));
  await writer.write("two.weight", dataOf(32));
  await writer.write("six", dataOf(20));
  await writer.end();
  await sink.finish();
  return sink.files.get("m.gguf")!;
}

const read = (bytes: Uint8Array) => readGguf(bytesFile("m.gguf", bytes));

describe("a GGUF file", () => {
  test("has what another reader finds there", async () => {
    const bytes = await written();
    const { version, keys, tensors } = parseGguf(bytes);
    expect(version).toBe(3);
    expect(Object.fromEntries(keys)).toEqual({
      "general.architecture": "llama",
      "a.count": 2 ** 32 - 1,
      "a.ratio": Math.fround(0.1),
      "a.yes": true,
      "a.tokens": ["", "\uFEFFﾞ", "a b"],
      "a.types": [1, -2],
      "a.scores": [-1.5, 0],
    });
    expect([...tensors].map(([name, { type, dims }]) => [name, type, ...dims])).toEqual([
      ["one", "F32", 3],
      ["two.weight", "Q4_0", 64, 2],
      ["six", "F16", 2, 5],
    ]);
    expect(bytes.length % 32).toBe(0);
    expect(gguf("m.gguf", metadata).layout(entries)).toMatchObject({ dataBytes: 104, fileBytes: bytes.length });
  });

  test("is read back by its own reader, the metadata with it", async () => {
    const container = gguf("m.gguf", metadata);
    const source = memorySource("out", [bytesFile("m.gguf", await written())]);
    const found = await container.open(source);
    expect([...found].map(([name, { dtype, shape, bytes }]) => [name, dtype, shape, bytes])).toEqual([
      ["one", "F32", [3], 12],
      ["two.weight", "Q4_0", [2, 64], 72],
      ["six", "F16", [5, 2], 20],
    ]);
    expect(await found.get("two.weight")!.read(39, 42)).toEqual(Uint8Array.of(40, 1, 2));
    const { metadata: keys } = await read(await written());
    expect([keys.get("a.tokens"), keys.get("a.types"), keys.get("a.yes")]).toEqual([["", "\uFEFFﾞ", "a b"], [1, -2], true]);
    await expect(gguf("m.gguf", new Map([["b", u32(1)]])).open(source)).rejects.toThrow(/its metadata is not what was to be written/);
    await expect(container.open(memorySource("out", []))).rejects.toThrow(/out holds 0 GGUF files/);
  });

  test("is split between tensors, where it would be larger than wanted", async () => {
    const container = gguf("m.gguf", metadata, 100);
    const layout = container.layout(entries);
    const sink = memorySink();
    const writer = layout.writer(sink);
    for (const [name, bytes] of [
      ["one", 12],
      ["two.weight", 72],
      ["six", 20],
    ] as const)
      await writer.write(name, dataOf(bytes));
    await writer.end();
    await sink.finish();
    const names = ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"];
    expect([...sink.files.keys()]).toEqual(names);
    expect([...sink.files.values()].reduce((sum, { length }) => sum + length, 0)).toBe(layout.fileBytes);
    const [first, second, third] = names.map((name) => parseGguf(sink.files.get(name)!));
    expect(first.keys.get("general.architecture")).toBe("llama");
    expect(Object.fromEntries(second.keys)).toEqual({ "split.no": 1, "split.count": 3, "split.tensors.count": 3 });
    expect([first, second, third].map(({ tensors }) => [...tensors.keys()])).toEqual([["one"], ["two.weight"], ["six"]]);

    const files = [...sink.files].map(([name, bytes]) => bytesFile(name, bytes));
    const found = await container.open(memorySource("out", files.toReversed()));
    expect([...found.keys()]).toEqual(["one", "two.weight", "six"]);
    expect(await found.get("six")!.read(0, 3)).toEqual(dataOf(3));
    await expect(container.open(memorySource("out", files.slice(1)))).rejects.toThrow(/out holds 2 GGUF files/);
  });

  test("takes its tensors in order, whole, and once", async () => {
    const writer = () => gguf("m.gguf", metadata).layout(entries).writer(memorySink());
    await expect(writer().write("six", dataOf(20))).rejects.toThrow(/six was written where one was expected/);
    await expect(writer().write("one", dataOf(13))).rejects.toThrow(/has 12 bytes but gets more/);
    const half = writer();
    await half.write("one", dataOf(5));
    await expect(half.end()).rejects.toThrow(/one was not written completely/);
    expect(() => gguf("m.gguf", metadata).layout([entries[0], entries[0]])).toThrow(/used twice/);
    expect(() => gguf("m.gguf", metadata).layout([{ name: "x", dtype: "Q4_0", shape: [2, 33] }])).toThrow(
      /x of type Q4_0 has the shape \[2,33\]/,
    );
  });
});

describe("the reader refuses", () => {
  /** The bytes with some replaced, found by what stands before them. */
  const patched = (bytes: Uint8Array, after: string, skip: number, values: number[]) => {
    const at = Buffer.from(bytes).indexOf(after) + after.length + skip;
    const out = Uint8Array.from(bytes);
    out.set(values, at);
    return out;
  };
  /** Its two lists of numbers become lists of so many zero bytes each. */
  const longer = (bytes: Uint8Array, count: number) => {
    const list = Buffer.alloc(12 + count);
    list.writeBigUInt64LE(BigInt(count), 4);
    const at = (name: string) => Buffer.from(bytes).indexOf(name) + name.length + 4;
    const [types, scores] = [at("a.types"), at("a.scores")];
    return Uint8Array.from(
      Buffer.concat([bytes.subarray(0, types), list, bytes.subarray(types + 12 + 8, scores), list, bytes.subarray(scores + 12 + 8)]),
    );
  };
  const huge = [255, 255, 255, 255, 255, 255, 255, 127];

  test.each<[string, (bytes: Uint8Array) => Uint8Array, RegExp]>([
    ["another magic", (b) => patched(b, "", 0, [1]), /does not begin with GGUF/],
    ["another version", (b) => patched(b, "GGUF", 0, [2]), /it is version 2/],
    ["too many tensors", (b) => patched(b, "GGUF", 4, [0, 0, 0, 1, 0, 0, 0, 0]), /tells of 16777216 tensors/],
    ["a count beyond 2^53", (b) => patched(b, "GGUF", 4, huge), /a number in its header is/],
    [
      "a string of 2^40 bytes",
      (b) => patched(b, "a.tokens", 16, [0, 0, 0, 0, 0, 1, 0, 0]),
      /a string in its header has 1099511627776 bytes/,
    ],
    ["a list of 2^40 values", (b) => patched(b, "a.types", 8, [0, 0, 0, 0, 0, 1, 0, 0]), /arrays of more than 4194304 values/],
    [
      "a list of 120 million bytes",
      (b) => patched(b, "a.types", 4, [0, 0, 0, 0, 0, 0x0e, 0x27, 0x07]),
      /arrays of more than 4194304 values/,
    ],
    ["two lists of more values than one may have", (b) => longer(b, 3e6), /arrays of more than 4194304 values/],
    ["a list that is longer than the file", (b) => patched(b, "a.types", 8, [0, 0, 16, 0, 0, 0, 0, 0]), /ends before its header does/],
    ["an unknown kind of value", (b) => patched(b, "a.yes", 0, [77]), /a value in its header has the type 77/],
    ["a truth value of 2", (b) => patched(b, "a.yes", 4, [2]), /a truth value in its header is 2/],
    ["a key twice", (b) => patched(b, "a.ratio", -5, [...Buffer.from("count")]), /the key a\.count is there twice/],
    ["no UTF-8", (b) => patched(b, "general.architecture", 12, [0xff]), /is not UTF-8/],
    ["a tensor twice", (b) => patched(b, "six", -3, [...Buffer.from("one")]), /the tensor one is there twice/],
    ["an unknown type", (b) => patched(b, "two.weight", 20, [99]), /two\.weight has the type 99/],
    ["no dimensions", (b) => patched(b, "two.weight", 0, [0]), /two\.weight has 0 dimensions/],
    ["a dimension of 0", (b) => patched(b, "two.weight", 4, [0]), /two\.weight of type Q4_0 has the shape \[2,0\]/],
    ["a shape of no whole blocks", (b) => patched(b, "two.weight", 4, [33]), /two\.weight of type Q4_0 has the shape \[2,33\]/],
    ["a shape whose product is no number", (b) => patched(b, "two.weight", 12, [0, 0, 0, 0, 0, 0, 16, 0]), /has the shape/],
    ["tensors that overlap", (b) => patched(b, "two.weight", 24, [0]), /two\.weight begins at 0, where 32 was to be expected/],
    ["an offset behind the end", (b) => patched(b, "six", 24, [0, 0, 1]), /six begins at 65/],
    ["a file that ends in its data", (b) => b.subarray(0, b.length - 40), /its header tells of/],
    ["a file that ends in its header", (b) => b.subarray(0, 100), /ends before its header does/],
    ["bytes that belong to nobody", (b) => Uint8Array.from([...b, ...new Array(32).fill(0)]), /32 bytes at its end belong to no tensor/],
  ])("%s", async (_, change, message) => {
    const error = await read(change(await written())).catch((e) => e);
    expect(error.message).toMatch(message);
    expect(["bad-file", "truncated"]).toContain(error.code);
  });

  test("or reads, but never anything else, whatever stands in the header", async () => {
    const bytes = await written();
    const next = mulberry32(11);
    for (let i = 0; i < 3000; i++) {
      const mutant = Uint8Array.from(bytes);
      for (let k = 0; k <= i % 3; k++) mutant[next() % 500] = next() % 256;
      const error = await read(mutant.subarray(0, i % 5 ? mutant.length : next() % mutant.length)).then(
        () => null,
        (e) => e,
      );
      if (error) expect(["bad-file", "truncated"], `${error.stack}`).toContain(error.code);
    }
  });
});
