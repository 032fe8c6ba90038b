import { QuantError } from "../../errors";
import { shown } from "../../io/text";
import type { Sink, SinkFile, Source, SourceFile } from "../../io/types";
import { Bytes, encodeMetadata, type Metadata } from "../gguf/metadata-values";
import { defaultAlignment, magic, readGguf, version } from "../gguf/reader";
import { type GgmlType, ggmlTypes, tensorBytes } from "../gguf/types";
import type { Container, ContainerWriter, EntrySpec, Layout, WrittenEntry } from "./container";

type Spec = EntrySpec<GgmlType>;

/**
 * One GGUF file (version 3): counts, metadata, tensor infos, then the tensors in that order, each from a multiple of 32 bytes on.
 * Everything but the tensors' data is known before the first byte.
 * @param name of the file.
 */
export function gguf(name: string, metadata: Metadata): Container<GgmlType> {
  const keys = encodeMetadata(metadata);
  return {
    layout: (entries) => layoutOf(name, entries, headerOf(entries, keys, metadata.size)),
    async open(written) {
      const file = onlyFile(written);
      const { tensors, metadataAt } = await readGguf(file);
      await requireSame(file, metadataAt, keys);
      return new Map(
        tensors.map(({ name, type, shape, start, end }): [string, WrittenEntry] => [
          name,
          { dtype: type, shape, bytes: end - start, read: (from, to) => file.read(start + from, start + to) },
        ]),
      );
    },
  };
}

const padded = (bytes: number) => Math.ceil(bytes / defaultAlignment) * defaultAlignment;
const sizeOf = ({ name, dtype, shape }: Spec) => tensorBytes(name, dtype, shape);
const misuse = (what: string) => new QuantError("internal", what, "Please report this with the steps that led here.");

function headerOf(entries: readonly Spec[], keys: Uint8Array, keyCount: number): Uint8Array {
  if (new Set(entries.map((entry) => entry.name)).size !== entries.length) throw misuse("a tensor name is used twice");
  const out = new Bytes();
  out.append(new TextEncoder().encode(magic));
  out.u32(version);
  out.u64(entries.length);
  out.u64(keyCount);
  out.append(keys);
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

function layoutOf(name: string, entries: readonly Spec[], header: Uint8Array): Layout {
  const sizes = entries.map(sizeOf);
  const fileBytes = sizes.reduce((sum, size) => sum + padded(size), header.length);
  return {
    dataBytes: sizes.reduce((a, b) => a + b, 0),
    fileBytes,
    writer: (sink) => new GgufWriter(sink, name, fileBytes, header, entries),
  };
}

class GgufWriter implements ContainerWriter {
  private file: SinkFile | undefined;
  private tensor = 0;
  private written = 0;

  constructor(
    private readonly sink: Sink,
    private readonly name: string,
    private readonly size: number,
    private readonly header: Uint8Array,
    private readonly entries: readonly Spec[],
  ) {}

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const entry = this.entries[this.tensor];
    if (entry?.name !== name) throw misuse(`tensor ${shown(name)} was written where ${shown(entry?.name ?? "the end")} was expected`);
    const total = sizeOf(entry);
    if (this.written + bytes.length > total) throw misuse(`tensor ${shown(name)} has ${total} bytes but gets more`);
    const file = await this.open();
    await file.write(bytes);
    this.written += bytes.length;
    if (this.written < total) return;
    if (padded(total) > total) await file.write(new Uint8Array(padded(total) - total));
    this.written = 0;
    this.tensor++;
  }

  async end(): Promise<void> {
    const missing = this.entries[this.tensor];
    if (missing) throw misuse(`tensor ${shown(missing.name)} was not written completely`);
    await (await this.open()).close();
  }

  private async open(): Promise<SinkFile> {
    if (!this.file) {
      this.file = await this.sink.create(this.name, this.size);
      await this.file.write(this.header);
    }
    return this.file;
  }
}

function onlyFile({ files, label }: Source): SourceFile {
  const found = files.filter(({ name }) => name.endsWith(".gguf"));
  if (found.length !== 1)
    throw new QuantError("bad-file", `${shown(label)} holds ${found.length} GGUF files`, "Look at one export at a time.");
  return found[0];
}

async function requireSame(file: SourceFile, { start, end }: { start: number; end: number }, keys: Uint8Array): Promise<void> {
  const found = await file.read(start, end);
  if (found.length !== keys.length || !found.every((byte, i) => byte === keys[i]))
    throw new QuantError("bad-file", `${shown(file.name)}: its metadata is not what was to be written`, "Write the file again.");
}
