import { describe, expect, test } from "vitest";
import { bytesFile } from "../../src/io/memory";
import { zipSource } from "../../src/io/zip-source";

/** Where the numbers of Zip64's end record and of its locator are, from the end of the zip. */
const fromEnd = { count: 66, directoryBytes: 58, directoryAt: 50, recordAt: 34 };

/** A zip that says something else somewhere. */
function lying(at: keyof typeof fromEnd, value: bigint): Buffer {
  const zip = zip64();
  zip.writeBigUInt64LE(value, zip.length - fromEnd[at]);
  return zip;
}

/** The same in the Zip64 field at the end of the first entry. */
function lyingEntry(back: number, value: bigint): Buffer {
  const zip = zip64();
  const number = (at: keyof typeof fromEnd) => Number(zip.readBigUInt64LE(zip.length - fromEnd[at]));
  zip.writeBigUInt64LE(value, number("directoryAt") + number("directoryBytes") / 2 - back);
  return zip;
}

const content = Buffer.from("the only file");
const name = Buffer.from("top/a.txt");
const wide = 0xffffffff;

/** Numbers of so many bytes each, one after the other. */
function record(...fields: (readonly [size: 2 | 4 | 8, value: number])[]): Buffer {
  return Buffer.concat(
    fields.map(([size, value]) => {
      const out = Buffer.alloc(size);
      if (size === 8) out.writeBigUInt64LE(BigInt(value));
      else out.writeUIntLE(value, 0, size);
      return out;
    }),
  );
}

interface Changes {
  method?: number;
  entrySignature?: number;
  /** Its sizes stand in 32 bits, its place in the Zip64 field. */
  sizesFit?: boolean;
  /** Of the file's own record, before its bytes, and of its directory entry, after its name. */
  localExtra?: Buffer;
  comment?: Buffer;
  /** The entry's numbers are elsewhere, it says, but nowhere. */
  noField?: boolean;
}

const nothing = Buffer.alloc(0);

/** A zip of a stored file, twice in its directory, its numbers where Zip64 keeps them. */
function zip64(changes: Changes = {}): Buffer {
  const { method = 0, entrySignature = 0x02014b50, sizesFit = false, localExtra = nothing, comment = nothing } = changes;
  const local = Buffer.concat([
    record([4, 0x04034b50], [2, 45], [2, 0], [2, 0], [4, 0], [4, 0], [4, wide], [4, wide], [2, name.length], [2, localExtra.length]),
    name,
    localExtra,
    content,
  ]);
  const size = sizesFit ? content.length : wide;
  const extra = changes.noField
    ? record([2, 1], [2, 0])
    : sizesFit
      ? record([2, 1], [2, 8], [8, 0])
      : record([2, 1], [2, 24], [8, content.length], [8, content.length], [8, 0]);
  const other = record([2, 0x5455], [2, 1]);
  const entry = Buffer.concat([
    record([4, entrySignature], [2, 45], [2, 45], [2, 0], [2, method], [4, 0], [4, 0], [4, size], [4, size]),
    record([2, name.length], [2, other.length + 1 + extra.length], [2, comment.length], [2, 0], [2, 0], [4, 0], [4, wide]),
    name,
    other,
    Buffer.from([9]),
    extra,
    comment,
  ]);
  const start = local.length;
  const end = record([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, 2], [8, 2], [8, 2 * entry.length], [8, start]);
  const locator = record([4, 0x07064b50], [4, 0], [8, start + 2 * entry.length], [4, 1]);
  const last = record([4, 0x06054b50], [2, 0], [2, 0], [2, 0xffff], [2, 0xffff], [4, wide], [4, wide], [2, 0]);
  return Buffer.concat([local, entry, entry, end, locator, last]);
}

describe("a zip that is read back", () => {
  test.each<[string, Changes]>([
    ["has its sizes and places in Zip64 fields, where they are beyond 32 bits", {}],
    ["has only its place there, where its sizes fit", { sizesFit: true }],
    ["has more before its bytes than a name", { localExtra: record([2, 0x5455], [2, 1], [2, 7]) }],
    ["has comments in its directory", { comment: Buffer.from("a comment") }],
  ])("%s", async (_, changes) => {
    const { files } = await zipSource(bytesFile("a.zip", zip64(changes)));
    expect(files.map((f) => [f.name, f.size])).toEqual([
      ["a.txt", content.length],
      ["a.txt", content.length],
    ]);
    for (const file of files) expect(Buffer.from(await file.read(4, 8)).toString()).toBe("only");
  });

  test.each<[string, Buffer, RegExp]>([
    ["nothing", Buffer.alloc(3), /is not a zip/],
    ["something else", Buffer.alloc(100), /is not a zip, or not all of one/],
    ["a compressed file", zip64({ method: 8 }), /holds top\/a\.txt compressed/],
    ["a damaged directory", zip64({ entrySignature: 7 }), /has no entry 1 of 2/],
    ["one that counts more entries than it has", lying("count", 9n), /has no entry 3 of 9/],
    ["one that counts more entries than there are numbers", lying("count", 2n ** 64n - 1n), /has no entry 3/],
    ["a directory that ends within an entry", lying("directoryBytes", 80n), /has only a part of entry 1/],
    ["a directory beyond its end", lying("directoryAt", 2n ** 40n), /ends before what it tells of/],
    ["a directory of more bytes than it", lying("directoryBytes", 2n ** 63n), /has a directory of 9223372036854776000 bytes/],
    ["an end record beyond its end", lying("recordAt", 2n ** 50n), /ends before what it tells of/],
    ["nothing but the end of a large one", zip64().subarray(-22), /ends before what it tells of/],
    ["a file beyond its end", lyingEntry(8, 2n ** 40n), /ends before what it tells of/],
    ["a file of more bytes than it", lyingEntry(24, 2n ** 40n), /ends before top\/a\.txt does/],
    ["an entry without the field that it needs", zip64({ noField: true }), /ends before what it tells of/],
  ])("and is %s, is refused in a sentence that is about the file", async (_, zip, words) => {
    const error = await zipSource(bytesFile("a.zip", zip)).catch((e) => e);
    expect(error).toMatchObject({ code: "bad-file", about: "checkpoint" });
    expect(error.message).toMatch(words);
  });

  test("and has a directory that would fill the memory, is refused before it is read", async () => {
    const size = 2 ** 34;
    const zip = lying("directoryBytes", BigInt(size / 2));
    const read = async (from: number, to: number) => {
      expect(to - from).toBeLessThan(100);
      return new Uint8Array(zip.subarray(from - size, to - size || zip.length));
    };
    const moved = Number(zip.readBigUInt64LE(zip.length - fromEnd.recordAt)) + size - zip.length;
    zip.writeBigUInt64LE(BigInt(moved), zip.length - fromEnd.recordAt);
    await expect(zipSource({ name: "a.zip", size, read })).rejects.toThrow(/has a directory of 8589934592 bytes/);
  });
});
