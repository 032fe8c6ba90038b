import { describe, expect, it } from "vitest";
import { HEADER_LIMIT, parseHeader, readHeader } from "../../src/io/header";
import { bytesFile } from "../../src/io/memory";
import { bombs, entry, nested, overlapping } from "./bombs";
import { failure, rawFile } from "./helpers";

const read = (bytes: Uint8Array) => readHeader(bytesFile("m.safetensors", bytes));
const GOOD = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';

describe("readHeader", () => {
  it("reads names, dtypes, shapes, offsets into the file, and metadata", async () => {
    const text =
      '{"__metadata__":{"format":"pt","k":"\\u00e9"},"b":{"shape":[2,1],"data_offsets":[4,8],"dtype":"BF16"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  ';
    const { tensors, metadata } = await read(rawFile(text, 8));
    const start = 8 + text.length;
    expect(tensors).toEqual([
      { name: "a", dtype: "F32", shape: [], start, end: start + 4 },
      { name: "b", dtype: "BF16", shape: [2, 1], start: start + 4, end: start + 8 },
    ]);
    expect([...metadata]).toEqual([
      ["format", "pt"],
      ["k", "é"],
    ]);
  });

  it("reads a file without tensors", async () => expect((await read(rawFile("{}"))).tensors).toEqual([]));

  it("decodes every escape, and joins surrogate pairs", async () => {
    const { tensors } = await read(
      rawFile('{"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    );
    expect(tensors[0].name).toBe('"\\/\b\f\n\r\tA😀');
  });

  it("keeps names that are traps for plain objects", async () => {
    const one = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
    const { tensors } = await read(rawFile(`{"__proto__":${one},"constructor":${one},"1":${one}}`));
    expect(tensors.map((t) => t.name)).toEqual(["__proto__", "constructor", "1"]);
  });

  const cases: [string, Uint8Array, RegExp][] = [
    ["an empty file", new Uint8Array(0), /^truncated: m.safetensors: 0 bytes/],
    ["a cut length", new Uint8Array(7), /^truncated/],
    ["a header beyond the file", rawFile(entry(GOOD), 0, 1000n), /^truncated: .*1000 bytes, but the file has 62/],
    ["a length of 2^63", rawFile("{}", 0, 2n ** 63n), /^truncated/],
    ["a length of 2^64 - 1", rawFile("{}", 0, 2n ** 64n - 1n), /^truncated/],
    ["missing data", rawFile(entry(GOOD), 7), /^truncated: .*describes 8 bytes of data, but the file holds 7/],
    ["more data than described", rawFile(entry(GOOD), 9), /^bad-safetensors: .*describes 8 bytes of data, but the file holds 9/],
    [
      "a Git LFS pointer",
      new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"),
      /^bad-safetensors: .*Git LFS.*git lfs pull/,
    ],
    ["a byte order mark", rawFile(`\ufeff${entry(GOOD)}`, 8), /^bad-safetensors/],
    ["a leading blank", rawFile(` ${entry(GOOD)}`, 8), /^bad-safetensors/],
    ["bytes after the header", rawFile(`${entry(GOOD)}x`, 8), /^bad-safetensors: .*expected the end/],
    ["a lone surrogate", rawFile('{"\\ud800":{}}'), /surrogate/],
    ["bytes that are no UTF-8", rawFile(new Uint8Array([123, 34, 0xff, 34])), /^bad-safetensors: .*not UTF-8/],
    ["a float-form offset", rawFile(entry('"dtype":"F32","shape":[2],"data_offsets":[0.0,8]'), 8), /expected "," but|expected "\]" but/],
    ["a negative zero", rawFile(entry('"dtype":"F32","shape":[2],"data_offsets":[-0,8]'), 8), /expected a whole number/],
    ["a leading zero", rawFile(entry('"dtype":"F32","shape":[02],"data_offsets":[0,8]'), 8), /leading zero/],
    ["2^53 as a dimension", rawFile(entry('"dtype":"U8","shape":[9007199254740992,0],"data_offsets":[0,0]')), /2\^53/],
    ["a product past 2^53", rawFile(entry('"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]')), /takes Infinity/],
    ["a doubled tensor", rawFile(`{"t":{${GOOD}},"t":{${GOOD}}}`, 8), /^bad-safetensors: .*\(t\): the name is given twice/],
    ["a doubled field", rawFile(entry(`${GOOD},"dtype":"F32"`), 8), /"dtype" is unknown or given twice/],
    ["an unknown field", rawFile(entry(`${GOOD},"strides":[1]`), 8), /"strides" is unknown/],
    ["a missing field", rawFile(entry('"dtype":"F32","shape":[2]'), 8), /is missing/],
    ["three offsets", rawFile(entry('"dtype":"F32","shape":[2],"data_offsets":[0,8,8]'), 8), /more than 2/],
    ["one offset", rawFile(entry('"dtype":"F32","shape":[2],"data_offsets":[0]'), 8), /two numbers/],
    ["an unknown dtype", rawFile(entry('"dtype":"F33","shape":[2],"data_offsets":[0,8]'), 8), /^bad-safetensors: .*no dtype "F33"/],
    ["a dtype of no use here", rawFile(entry('"dtype":"C64","shape":[1],"data_offsets":[0,8]'), 8), /^unsupported-dtype: .*C64/],
    [
      "a wrong size",
      rawFile(entry('"dtype":"F16","shape":[2],"data_offsets":[0,8]'), 8),
      /F16 \[2\] takes 4 bytes, but data_offsets are \[0, 8\]/,
    ],
    ["a hole", rawFile(entry('"dtype":"U8","shape":[7],"data_offsets":[1,8]'), 8), /a hole between the header/],
    [
      "an overlap",
      rawFile(`{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[5],"data_offsets":[4,9]}}`, 9),
      /an overlap between a/,
    ],
    ["metadata that is no text", rawFile('{"__metadata__":{"a":1}}'), /\(__metadata__\): expected a string/],
  ];
  it.each(cases)("refuses %s", async (_name, bytes, message) => expect(await failure(read(bytes))).toMatch(message));

  it("shows hostile names cut and without control characters", async () => {
    const name = `<img>\\u0007\\u202e${"x".repeat(500)}`;
    const message = await failure(read(rawFile(`{"${name}":1}`)));
    expect(message).toContain("<img>\uFFFD\uFFFDxxx");
    expect(message.length).toBeLessThan(300);
  });

  it("reads headers of 99,990 to 100,010 bytes (readers have been off by 8 there)", async () => {
    for (let n = 99_990; n <= 100_010; n++) {
      const text = entry(GOOD).padEnd(n, " ");
      const { tensors } = await read(rawFile(text, 8));
      expect([tensors[0].start, tensors[0].end]).toEqual([8 + n, 16 + n]);
    }
  });
});

describe("bombs are refused for what they are", () => {
  it.each(bombs)("%s", async (_, make, refusal) => {
    expect(await failure(() => read(make()))).toMatch(refusal);
  });

  it("50 MB of [, given as a header", async () => {
    const bytes = nested("[", 50e6);
    expect(await failure(() => parseHeader(bytes.subarray(8), bytes.length, "m"))).toMatch(/^header-too-large/);
  });

  it("the limit on tensors is reached before that on bytes", () => {
    expect(overlapping(400_000).length).toBeLessThan(HEADER_LIMIT);
  });

  it("a length of 2^63 reads no more than the length", async () => {
    const file = bytesFile("m.safetensors", rawFile("{}", 100, 2n ** 63n));
    const reads: number[] = [];
    const read = (a: number, b: number) => {
      reads.push(b - a);
      return file.read(a, b);
    };
    const spy = { ...file, read };
    expect(await failure(readHeader(spy))).toMatch(/^truncated/);
    expect(reads).toEqual([8]);
  });
});
