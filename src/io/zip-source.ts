/** Reads our own zips back: stored entries, through the central directory, Zip64 where sizes need it. */
import { QuantError } from "../errors";
import { checkRange } from "./source";
import { shown } from "./text";
import type { Source, SourceFile } from "./types";

/** Size of the end record without a comment; our zips have none. */
const endBytes = 22;
/** Size of a directory entry without name, further fields and comment. */
const entryBytes = 46;
const zip64LocatorBytes = 20;
const zip64EndBytes = 56;
const signatures = { end: 0x06054b50, zip64Locator: 0x07064b50, zip64End: 0x06064b50, entry: 0x02014b50, local: 0x04034b50 };
/** Stands where a Zip64 field holds the number. */
const elsewhere = 0xffffffff;

/** The largest directory that is read. Ours take a hundred bytes a file. */
const mostDirectoryBytes = 16 * 2 ** 20;

/** The files of one of our zips, named without the folder that they are in. @throws QuantError `bad-file` for anything else. */
export async function zipSource(zip: SourceFile): Promise<Source> {
  const files: SourceFile[] = [];
  for (const { name, start, size } of await entries(zip)) {
    files.push({
      name: name.slice(name.indexOf("/") + 1),
      size,
      read(from, to) {
        checkRange(this, from, to);
        return zip.read(start + from, start + to);
      },
    });
  }
  return { label: zip.name, files };
}

/** Bytes of the zip. Where they are comes from the zip itself. */
const viewOf = async (zip: SourceFile, start: number, end: number) => {
  if (!(start >= 0 && start <= end && end <= zip.size)) throw damaged(zip, "ends before what it tells of, or is damaged");
  const bytes = await zip.read(start, end);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
};

const damaged = (zip: SourceFile, what: string) =>
  new QuantError(
    "bad-file",
    `${shown(zip.name)} ${what}`,
    "Unpack it and give the folder or, where that fails too, export or download it again.",
  );

/** Where the central directory stands, and how many entries it has. */
async function directory(zip: SourceFile): Promise<{ start: number; end: number; count: number }> {
  if (zip.size < endBytes) throw damaged(zip, "is not a zip");
  const at = zip.size - endBytes;
  const { view } = await viewOf(zip, at, zip.size);
  if (view.getUint32(0, true) !== signatures.end) throw damaged(zip, "is not a zip, or not all of one");
  const [count, size, start] = [view.getUint16(10, true), view.getUint32(12, true), view.getUint32(16, true)];
  if (count !== 0xffff && size !== elsewhere && start !== elsewhere) return { start, end: start + size, count };
  const locator = (await viewOf(zip, at - zip64LocatorBytes, at)).view;
  if (locator.getUint32(0, true) !== signatures.zip64Locator) throw damaged(zip, "has no Zip64 locator");
  const where = Number(locator.getBigUint64(8, true));
  const record = (await viewOf(zip, where, where + zip64EndBytes)).view;
  if (record.getUint32(0, true) !== signatures.zip64End) throw damaged(zip, "has no Zip64 end record");
  const wide = (offset: number) => Number(record.getBigUint64(offset, true));
  return { start: wide(48), end: wide(48) + wide(40), count: wide(32) };
}

async function entries(zip: SourceFile): Promise<{ name: string; start: number; size: number }[]> {
  const { start, end, count } = await directory(zip);
  if (end - start > mostDirectoryBytes) throw damaged(zip, `has a directory of ${end - start} bytes`);
  const { bytes, view } = await viewOf(zip, start, end);
  const found: { name: string; start: number; size: number }[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const room = bytes.length - at;
    if (room < entryBytes || view.getUint32(at, true) !== signatures.entry) throw damaged(zip, `has no entry ${i + 1} of ${count}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const length = entryBytes + nameLength + extraLength + commentLength;
    if (room < length) throw damaged(zip, `has only a part of entry ${i + 1}`);
    const nameEnd = at + entryBytes + nameLength;
    const name = new TextDecoder().decode(bytes.subarray(at + entryBytes, nameEnd));
    if (view.getUint16(at + 10, true) !== 0) throw damaged(zip, `holds ${shown(name)} compressed`);
    const extra = new DataView(bytes.buffer, bytes.byteOffset + nameEnd, extraLength);
    const [size, local] = sizeAndPlace(view, at, extra);
    const dataAt = await dataStart(zip, local);
    if (dataAt + size > zip.size) throw damaged(zip, `ends before ${shown(name)} does`);
    found.push({ name, start: dataAt, size });
    at += length;
  }
  return found;
}

/** A Zip64 field holds, in this order, those of size, packed size and place that did not fit. */
function sizeAndPlace(view: DataView, at: number, extra: DataView): [size: number, place: number] {
  const fields = [24, 20, 42].map((offset) => view.getUint32(at + offset, true));
  for (let e = 0; e + 4 <= extra.byteLength; e += 4 + extra.getUint16(e + 2, true)) {
    if (extra.getUint16(e, true) !== 1) continue;
    let next = e + 4;
    for (const [i, value] of fields.entries())
      if (value === elsewhere && next + 8 <= extra.byteLength) {
        fields[i] = Number(extra.getBigUint64(next, true));
        next += 8;
      }
  }
  return [fields[0], fields[2]];
}

async function dataStart(zip: SourceFile, local: number): Promise<number> {
  const { view } = await viewOf(zip, local, local + 30);
  if (view.getUint32(0, true) !== signatures.local) throw damaged(zip, "has no file where its directory says");
  return local + 30 + view.getUint16(26, true) + view.getUint16(28, true);
}
