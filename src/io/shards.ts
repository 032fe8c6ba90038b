/** All safetensors files of a checkpoint as one set of tensors. */
import { QuantError } from "../errors";
import { readHeader } from "./header";
import { findShards, INDEX_NAME } from "./shard-set";
import { shown } from "./text";
import type { Shards, Source, SourceFile, TensorInfo } from "./types";

type Placed = TensorInfo & { readonly file: SourceFile };

function contradiction(where: string): QuantError {
  return new QuantError("contradiction", where, "The files are of different downloads; fetch the whole model again.");
}

function addTensors(all: Map<string, Placed>, file: SourceFile, tensors: readonly TensorInfo[]): void {
  for (const t of tensors) {
    const other = all.get(t.name);
    if (other) throw contradiction(`tensor ${shown(t.name)} is in ${shown(other.file.name)} and in ${shown(file.name)}`);
    all.set(t.name, { ...t, file });
  }
}

/** The index and the headers must say the same, both ways. */
function checkIndex(index: ReadonlyMap<string, string>, all: ReadonlyMap<string, Placed>): void {
  for (const [name, file] of index) {
    const found = all.get(name)?.file.name;
    if (found === file) continue;
    const truth = found === undefined ? "no file has it" : `it is in ${shown(found)}`;
    throw contradiction(`${INDEX_NAME} says that tensor ${shown(name)} is in ${shown(file)}, but ${truth}`);
  }
  for (const [name, { file }] of all) {
    if (!index.has(name)) throw contradiction(`tensor ${shown(name)} of ${shown(file.name)} is not in ${INDEX_NAME}`);
  }
}

/** Byte range of rows [from, to) of the first dimension, in the file. */
function rowRange(t: Placed, rows: { from: number; to: number }): [number, number] {
  const count = t.shape[0] ?? 0;
  const { from, to } = rows;
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= count)) {
    throw new QuantError("internal", `rows ${from} to ${to} of ${shown(t.name)} [${t.shape}]`, "Please report this.");
  }
  const rowBytes = count === 0 ? 0 : (t.end - t.start) / count;
  return [t.start + from * rowBytes, t.start + to * rowBytes];
}

/**
 * Opens a checkpoint: finds its shards, reads every header, checks index and headers against each other. Reads no data.
 * Throws missing-file, contradiction, bad-file, bad-json, and what readHeader throws.
 */
export async function openShards(source: Source): Promise<Shards> {
  const { files, index } = await findShards(source);
  const tensors = new Map<string, Placed>();
  for (const file of files) addTensors(tensors, file, (await readHeader(file)).tensors);
  if (index) checkIndex(index, tensors);
  return {
    tensors,
    notes: [],
    async readTensor(name, rows) {
      const t = tensors.get(name);
      if (!t) throw new QuantError("missing-tensor", shown(name), "The checkpoint is incomplete or of another architecture.");
      const [start, end] = rows ? rowRange(t, rows) : [t.start, t.end];
      return t.file.read(start, end);
    },
  };
}
