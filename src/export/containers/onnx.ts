import { misuse, QuantError } from "../../errors";
import { tensorBytes } from "../../io/dtype";
import { findFile } from "../../io/source";
import { shown } from "../../io/text";
import type { Sink, SinkFile, Source } from "../../io/types";
import { writeFile } from "../../io/writer";
import type { Graph, OnnxDtype } from "../onnx/graph";
import { modelBytes, mostGraphBytes, type PlacedTensor, placedTensors } from "../onnx/proto";
import type { Container, ContainerWriter, EntrySpec, Layout, WrittenEntry } from "./container";

/** Browsers load a file whole, and into at most 2 GB. */
const mostFileBytes = 2e9;
/** Tensors from this size on begin with a page of memory, so that they can be mapped instead of read. */
const mappable = 2 ** 20;
const page = 4096;
const line = 64;

/** A graph's files: itself, and the data of its tensors in files of at most 2 GB, named as transformers.js expects them. */
interface OnnxLayout extends Layout {
  readonly dataFiles: number;
}

interface OnnxContainer extends Container {
  layout(entries: readonly EntrySpec[]): OnnxLayout;
}

/** Files of one graph. @param path where the graph goes, such as onnx/model_q4.onnx. */
export const onnxContainer = (graph: Graph, path: string): OnnxContainer => ({
  layout: (entries) => layout(graph, path, entries as readonly EntrySpec<OnnxDtype>[]),
  open: (written) => open(graph, path, written),
});

function layout(graph: Graph, path: string, entries: readonly EntrySpec<OnnxDtype>[]): OnnxLayout {
  const tensors = placed(path, entries);
  const names = new Set(tensors.map(({ spec }) => spec.name));
  if (names.size !== tensors.length) throw misuse("a tensor name is used twice");
  const sizes = new Map<string, number>();
  for (const { file, offset, bytes } of tensors) sizes.set(file, offset + bytes);
  const head = modelBytes(graph, tensors);
  return {
    dataBytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    fileBytes: head.length + [...sizes.values()].reduce((sum, size) => sum + size, 0),
    dataFiles: sizes.size,
    writer: (sink) => new DataWriter(sink, path, head, tensors, sizes),
  };
}

/** Every tensor's place, one after another. @throws QuantError `bad-format` for one that no file can hold. */
function placed(path: string, entries: readonly EntrySpec<OnnxDtype>[]): PlacedTensor[] {
  let file = 0;
  let end = 0;
  return entries.map((spec) => {
    const bytes = tensorBytes(spec.dtype, spec.shape);
    if (bytes > mostFileBytes)
      throw new QuantError(
        "bad-format",
        `${shown(spec.name)} would take ${(bytes / 1e9).toFixed(1)} GB, and browsers load at most 2 GB at once`,
        "Use the ONNX format in f16, or another one.",
      );
    const unit = bytes < mappable ? line : page;
    let offset = Math.ceil(end / unit) * unit;
    if (offset + bytes > mostFileBytes) {
      file++;
      offset = 0;
    }
    end = offset + bytes;
    return { spec, file: dataName(path, file), offset, bytes };
  });
}

const dataName = (path: string, file: number): string => `${path.slice(path.lastIndexOf("/") + 1)}_data${file ? `_${file}` : ""}`;

/** A file beside the graph. */
const beside = (path: string, name: string): string => path.slice(0, path.lastIndexOf("/") + 1) + name;

class DataWriter implements ContainerWriter {
  private next = 0;
  private written = 0;
  private file: SinkFile | null = null;
  /** Bytes of the open file so far. */
  private at = 0;

  constructor(
    private readonly sink: Sink,
    private readonly path: string,
    private readonly head: Uint8Array,
    private readonly tensors: readonly PlacedTensor[],
    private readonly sizes: ReadonlyMap<string, number>,
  ) {}

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const tensor = this.tensors[this.next];
    if (tensor?.spec.name !== name)
      throw misuse(`tensor ${shown(name)} was written where ${shown(tensor?.spec.name ?? "the end")} was expected`);
    if (this.written + bytes.length > tensor.bytes) throw misuse(`tensor ${shown(name)} has ${tensor.bytes} bytes but gets more`);
    if (this.written === 0) await this.begin(tensor);
    await this.file!.write(bytes);
    this.at += bytes.length;
    this.written += bytes.length;
    if (this.written < tensor.bytes) return;
    this.written = 0;
    this.next++;
    if (this.tensors[this.next]?.file !== tensor.file) await this.close();
  }

  async end(): Promise<void> {
    if (this.next < this.tensors.length) throw misuse(`tensor ${shown(this.tensors[this.next].spec.name)} was not written completely`);
  }

  /** Opens the tensor's file, the graph's before the first, and fills up to where the tensor begins. */
  private async begin({ file, offset }: PlacedTensor): Promise<void> {
    if (this.next === 0) await writeFile(this.sink, this.path, this.head);
    this.file ??= await this.sink.create(beside(this.path, file), this.sizes.get(file)!);
    if (offset > this.at) await this.file.write(new Uint8Array(offset - this.at));
    this.at = offset;
  }

  private async close(): Promise<void> {
    await this.file?.close();
    this.file = null;
    this.at = 0;
  }
}

async function open(graph: Graph, path: string, written: Source): Promise<ReadonlyMap<string, WrittenEntry>> {
  const head = fileOf(written, path);
  if (head.size > mostGraphBytes) throw damaged(path, `has ${head.size} bytes`);
  const bytes = await head.read(0, head.size);
  const tensors = placedTensors(bytes);
  // Nodes, shapes and places too must be those of the graph: a file that holds the same tensors could still compute something else.
  const expected = modelBytes(
    graph,
    placed(
      path,
      tensors.map(({ spec }) => spec),
    ),
  );
  if (expected.length !== bytes.length || expected.some((byte, i) => byte !== bytes[i]))
    throw damaged(path, "does not read back as it was written");
  return new Map(tensors.map((tensor) => [tensor.spec.name, entryOf(tensor, written, path)]));
}

function entryOf({ spec, file, offset, bytes }: PlacedTensor, written: Source, path: string): WrittenEntry {
  const data = fileOf(written, beside(path, file));
  return { dtype: spec.dtype, shape: spec.shape, bytes, read: (from, to) => data.read(offset + from, offset + to) };
}

function fileOf(written: Source, name: string) {
  const file = findFile(written, name);
  if (!file) throw damaged(name, "is missing");
  return file;
}

const damaged = (name: string, what: string) =>
  new QuantError("verify-failed", `${shown(name)} ${what}`, "Export again, to another disk if it happens twice.");
