import { misuse, QuantError } from "../../errors";
import { shown } from "../../io/text";
import type { Source, SourceFile } from "../../io/types";
import { Bytes, encodeMetadata, i32, type Metadata, u16 } from "../gguf/metadata-values";
import { partName } from "../gguf/part-names";
import { defaultAlignment, magic, readGguf, version } from "../gguf/reader";
import { type GgmlType, ggmlTypes } from "../gguf/types";
import type { Container, Layout, WrittenEntry } from "./container";
import { type Part, PartsWriter, padded, type Spec, sizeOf } from "./gguf-writer";

/**
 * GGUF files (version 3): counts, metadata, tensor infos, then the tensors in that order, each from a multiple of 32 bytes on.
 * Everything but the tensors' data is known before the first byte.
 * @param name of the file, with its ending. Where it is split, the parts are called as llama.cpp looks for them: "m-00001-of-00003.gguf".
 * @param mostBytes of tensors in a file, though a file has one tensor at least.
 */
export function gguf(name: string, metadata: Metadata, mostBytes = Number.POSITIVE_INFINITY): Container<GgmlType> {
  return {
    layout: (entries) => layoutOf(partsOf(name, metadata, splitUp(entries, mostBytes))),
    async open(written) {
      const files = ggufFiles(written);
      const read = await Promise.all(files.map(async (file) => ({ file, ...(await readGguf(file)) })));
      const tensors = read.reduce((sum, part) => sum + part.tensors.length, 0);
      for (const [index, { file, metadataAt }] of read.entries())
        await requireSame(file, metadataAt, encodeMetadata(metadataOfPart(metadata, { index, count: files.length, tensors })));
      return new Map(read.flatMap(({ file, tensors }) => tensors.map((tensor) => [tensor.name, entryIn(file, tensor)] as const)));
    },
  };
}

const entryIn = (file: SourceFile, { type, shape, start, end }: Awaited<ReturnType<typeof readGguf>>["tensors"][number]): WrittenEntry => ({
  dtype: type,
  shape,
  bytes: end - start,
  read: (from, to) => file.read(start + from, start + to),
});

/** The entries of each file, in order. */
function splitUp(entries: readonly Spec[], mostBytes: number): Spec[][] {
  const parts: Spec[][] = [[]];
  let bytes = 0;
  for (const entry of entries) {
    const size = padded(sizeOf(entry));
    if (bytes > 0 && bytes + size > mostBytes) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(entry);
    bytes += size;
  }
  return parts;
}

function partsOf(name: string, metadata: Metadata, parts: readonly Spec[][]): Part[] {
  const all = parts.flat();
  if (new Set(all.map((entry) => entry.name)).size !== all.length) throw misuse("a tensor name is used twice");
  return parts.map((entries, index) => {
    const header = headerOf(entries, metadataOfPart(metadata, { index, count: parts.length, tensors: all.length }));
    const size = entries.reduce((sum, entry) => sum + padded(sizeOf(entry)), header.length);
    return { name: partName(name, index, parts.length), header, entries, size };
  });
}

/** Only the first part has the model's metadata; all of several say which part they are. */
function metadataOfPart(metadata: Metadata, { index, count, tensors }: { index: number; count: number; tensors: number }): Metadata {
  if (count === 1) return metadata;
  const place: Metadata = new Map([
    ["split.no", u16(index)],
    ["split.count", u16(count)],
    ["split.tensors.count", i32(tensors)],
  ]);
  return index === 0 ? new Map([...metadata, ...place]) : place;
}

function headerOf(entries: readonly Spec[], metadata: Metadata): Uint8Array {
  const out = new Bytes();
  out.append(new TextEncoder().encode(magic));
  out.u32(version);
  out.u64(entries.length);
  out.u64(metadata.size);
  out.append(encodeMetadata(metadata));
  let offset = 0;
  for (const entry of entries) {
    out.string(entry.name);
    out.u32(entry.shape.length);
    for (const d of entry.shape.toReversed()) out.u64(d);
    out.u32(ggmlTypes[entry.dtype].id);
    out.u64(offset);
    offset += padded(sizeOf(entry));
  }
  out.pad(defaultAlignment);
  return out.take();
}

const layoutOf = (parts: readonly Part[]): Layout => ({
  dataBytes: parts.flatMap(({ entries }) => entries.map(sizeOf)).reduce((a, b) => a + b, 0),
  fileBytes: parts.reduce((sum, { size }) => sum + size, 0),
  writer: (sink) => new PartsWriter(sink, parts),
});

/** One file, or all parts of one model, in order. */
function ggufFiles({ files, label }: Source): SourceFile[] {
  const found = files.filter(({ name }) => name.endsWith(".gguf")).sort((a, b) => (a.name < b.name ? -1 : 1));
  const areParts = found.every(({ name }, index) => name.endsWith(partName(".gguf", index, found.length)));
  if (found.length === 0 || (found.length > 1 && !areParts))
    throw new QuantError("bad-file", `${shown(label)} holds ${found.length} GGUF files`, "Look at one export at a time.");
  return found;
}

async function requireSame(file: SourceFile, { start, end }: { start: number; end: number }, keys: Uint8Array): Promise<void> {
  const found = await file.read(start, end);
  if (found.length !== keys.length || !found.every((byte, i) => byte === keys[i]))
    throw new QuantError("bad-file", `${shown(file.name)}: its metadata is not what was to be written`, "Write the file again.");
}
