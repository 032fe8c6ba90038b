import { describe, expect, test } from "vitest";
import { bytesFile } from "../../src/io/memory";
import { zipSource } from "../../src/io/zip-source";

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
  const extra = sizesFit ? record([2, 1], [2, 8], [8, 0]) : record([2, 1], [2, 24], [8, content.length], [8, content.length], [8, 0]);
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
    ["something else", Buffer.alloc(100), /has no end record/],
    ["a compressed file", zip64({ method: 8 }), /holds top\/a\.txt compressed/],
    ["a damaged directory", zip64({ entrySignature: 7 }), /has no entry 1/],
  ])("and is %s, is refused in a sentence", async (_, zip, words) => {
    await expect(zipSource(bytesFile("a.zip", zip))).rejects.toThrow(words);
  });
});
