/** The safetensors writer: every header is known before the first byte of data, so files are written front to back. */
import { misuse } from "../errors";
import { tensorBytes } from "./dtype";
import { HEADER_LIMIT } from "./header";

import { shown } from "./text";
import type { Dtype, Sink, SinkFile } from "./types";
import { INDEX_NAME } from "./weight-files";

/** A tensor to be written. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface ShardLayout {
  readonly name: string;
  readonly tensors: readonly TensorSpec[];
  /** The 8 length bytes and the padded JSON. */
  readonly header: Uint8Array;
  /** Bytes of the whole file. */
  readonly size: number;
}

export interface CheckpointLayout {
  readonly shards: readonly ShardLayout[];
  /** The index file, when there is more than one shard. */
  readonly index?: { readonly name: string; readonly bytes: Uint8Array };
  /** Bytes of all tensors, without headers (the index's total_size). */
  readonly totalSize: number;
}

/** Bytes of a tensor. Throws `internal` for a shape that no file could hold. */
export function specBytes(t: TensorSpec): number {
  const bytes = tensorBytes(t.dtype, t.shape);
  const whole = t.shape.every((d) => Number.isSafeInteger(d) && d >= 0);
  if (!whole || !Number.isSafeInteger(bytes)) throw misuse(`tensor ${shown(t.name)} has the shape [${t.shape}]`);
  return bytes;
}

function member(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
}

/** `{"format":"pt"}` is what transformers asks for; more keys follow it. */
function metadataText(extra: ReadonlyMap<string, string>): string {
  const all = new Map([["format", "pt"], ...extra]);
  return `"__metadata__":{${[...all].map(([k, v]) => member(k, v)).join(",")}}`;
}

/** Length bytes, JSON, and spaces up to a multiple of 8, so that the data section is aligned. */
function frame(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > HEADER_LIMIT) throw misuse(`a header of ${length} bytes would be larger than ${HEADER_LIMIT}`);
  const out = new Uint8Array(8 + length).fill(32);
  out.set(text, 8);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  return out;
}

/**
 * The header of a file that holds these tensors in this order, and the file's size in bytes. Strings are joined by hand,
 * because an object would reorder names like "0". Throws `internal` for doubled or impossible tensors.
 */
export function layoutFile(
  tensors: readonly TensorSpec[],
  metadata: ReadonlyMap<string, string> = new Map(),
): { header: Uint8Array; size: number } {
  const names = new Set(["__metadata__"]);
  const members = [metadataText(metadata)];
  let at = 0;
  for (const t of tensors) {
    if (names.has(t.name)) throw misuse(`the tensor name ${shown(t.name)} is used twice or reserved`);
    names.add(t.name);
    const end = at + specBytes(t);
    members.push(member(t.name, { dtype: t.dtype, shape: t.shape, data_offsets: [at, end] }));
    at = end;
  }
  const header = frame(`{${members.join(",")}}`);
  return { header, size: header.length + at };
}

/** Cuts the list, in order, where the next tensor would pass the limit; a larger tensor gets a shard of its own. */
function cutIntoShards(tensors: readonly TensorSpec[], maxBytes: number): TensorSpec[][] {
  const shards: TensorSpec[][] = [[]];
  let bytes = 0;
  for (const t of tensors) {
    const size = specBytes(t);
    if (bytes + size > maxBytes && shards[shards.length - 1].length) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(t);
    bytes += size;
  }
  return shards;
}

function shardName(i: number, n: number): string {
  if (n === 1) return "model.safetensors";
  return `model-${String(i + 1).padStart(5, "0")}-of-${String(n).padStart(5, "0")}.safetensors`;
}

function indexBytes(shards: readonly ShardLayout[], totalSize: number): Uint8Array {
  const lines = shards.flatMap((s) => s.tensors.map((t) => `    ${JSON.stringify(t.name)}: ${JSON.stringify(s.name)}`));
  const text = `{\n  "metadata": {\n    "total_size": ${totalSize}\n  },\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
  return new TextEncoder().encode(text);
}

/**
 * The whole checkpoint's files before any data: shards of at most `maxShardBytes` of tensor data, named as transformers
 * names them, and the index. Throws `internal` for doubled or impossible tensors.
 */
export function layoutShards(
  tensors: readonly TensorSpec[],
  maxShardBytes: number,
  metadata: ReadonlyMap<string, string> = new Map(),
): CheckpointLayout {
  if (new Set(tensors.map((t) => t.name)).size !== tensors.length) throw misuse("a tensor name is used twice");
  const parts = cutIntoShards(tensors, maxShardBytes);
  const shards = parts.map((part, i) => ({ name: shardName(i, parts.length), tensors: part, ...layoutFile(part, metadata) }));
  const totalSize = tensors.reduce((sum, t) => sum + specBytes(t), 0);
  if (shards.length === 1) return { shards, totalSize };
  return { shards, totalSize, index: { name: INDEX_NAME, bytes: indexBytes(shards, totalSize) } };
}

/** Writes one whole file to a sink. */
export async function writeFile(sink: Sink, name: string, bytes: Uint8Array): Promise<void> {
  const file = await sink.create(name, bytes.length);
  await file.write(bytes);
  await file.close();
}

/**
 * Writes the tensors of a layout to a sink, strictly in the layout's order; opens and closes the shards by itself.
 * Throws `internal` for a wrong name or byte count, and what the sink throws.
 */
export class CheckpointWriter {
  private shard = 0;
  private tensor = 0;
  private written = 0;
  private file: SinkFile | undefined;
  private readonly layout: CheckpointLayout;
  private readonly sink: Sink;

  constructor(layout: CheckpointLayout, sink: Sink) {
    this.layout = layout;
    this.sink = sink;
  }

  /** The tensor whose bytes come next; undefined when all are written. */
  get next(): TensorSpec | undefined {
    return this.layout.shards[this.shard]?.tensors[this.tensor];
  }

  /** The next bytes of the tensor `name`: all of it, or a part, in which case the rest follows with the same name. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const t = this.next;
    if (t?.name !== name) throw misuse(`tensor ${shown(name)} was written where ${shown(t?.name ?? "the end")} was expected`);
    const total = specBytes(t);
    if (this.written + bytes.length > total)
      throw misuse(`tensor ${shown(name)} has ${total} bytes but gets ${this.written + bytes.length}`);
    this.file ??= await this.open();
    await this.file.write(bytes);
    this.written += bytes.length;
    if (this.written === total) await this.advance();
  }

  /** Closes the checkpoint: all tensors must be there. Writes the index; other files and `sink.finish` are the caller's. */
  async end(): Promise<void> {
    // Only a checkpoint without any tensor still has its single shard to write here.
    if (this.layout.shards.length === 1 && this.layout.shards[0].tensors.length === 0) await (await this.open()).close();
    else if (this.next) throw misuse(`tensor ${shown(this.next.name)} was not written completely`);
    const { index } = this.layout;
    if (index) await writeFile(this.sink, index.name, index.bytes);
  }

  private async open(): Promise<SinkFile> {
    const { name, size, header } = this.layout.shards[this.shard];
    const file = await this.sink.create(name, size);
    await file.write(header);
    return file;
  }

  private async advance(): Promise<void> {
    this.written = 0;
    this.tensor++;
    if (this.tensor < this.layout.shards[this.shard].tensors.length) return;
    await this.file?.close();
    this.file = undefined;
    this.tensor = 0;
    this.shard++;
  }
}
