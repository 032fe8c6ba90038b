/** All safetensors files of a checkpoint as one set of tensors. */
import { QuantError } from "../errors";
import { readHeader } from "./header";
import { findShards } from "./shard-set";
import { shown, shownList } from "./text";
import type { Shards, Source, SourceFile, TensorInfo } from "./types";
import { INDEX_NAME } from "./weight-files";

/** A tensor and the file that holds it. */
export type Placed = TensorInfo & { readonly file: SourceFile };

function contradiction(where: string): QuantError {
  return new QuantError("contradiction", where, "The files are of different downloads; fetch the whole model again.");
}

/** Adds a file's tensors. @throws QuantError `contradiction` for one that another file holds too. */
export function addTensors(all: Map<string, Placed>, file: SourceFile, tensors: readonly TensorInfo[]): void {
  for (const t of tensors) {
    const other = all.get(t.name);
    if (other) throw contradiction(`tensor ${shown(t.name)} is in ${shown(other.file.name)} and in ${shown(file.name)}`);
    all.set(t.name, { ...t, file });
  }
}

/** transformers loads whatever the files hold, so an index that says something else is harmless, as long as nothing that is needed is missing. */
function indexNotes(index: ReadonlyMap<string, string>, all: ReadonlyMap<string, Placed>): string[] {
  const absent = [...index.keys()].filter((name) => !all.has(name));
  const moved = [...index].filter(([name, file]) => all.has(name) && all.get(name)!.file.name !== file).map(([name]) => name);
  const unnamed = [...all.keys()].filter((name) => !index.has(name));
  const notes = (names: string[], what: string) => (names.length ? [`${INDEX_NAME} ${what}: ${shownList(names, 5)}.`] : []);
  return [
    ...notes(absent, "names tensors that no file has"),
    ...notes(moved, "names another file for tensors, read where they are"),
    ...notes(unnamed, "does not name tensors that the files have"),
  ];
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
 * Opens a checkpoint: finds its shards, reads every header, compares index and headers. Reads no data.
 * @param named the weights that config.json names, if it does.
 * Throws missing-file, contradiction, bad-file, bad-json, and what readHeader throws.
 */
export async function openShards(source: Source, named?: string): Promise<Shards> {
  const { files, index, notes } = await findShards(source, named);
  const tensors = new Map<string, Placed>();
  for (const file of files) addTensors(tensors, file, (await readHeader(file)).tensors);
  return shardsOf(tensors, index ? [...notes, ...indexNotes(index, tensors)] : notes);
}

/** These tensors, whose headers were checked, as a checkpoint's. */
export function shardsOf(tensors: ReadonlyMap<string, Placed>, notes: readonly string[]): Shards {
  return {
    tensors,
    notes,
    async readTensor(name, rows) {
      const t = tensors.get(name);
      if (!t) throw new QuantError("missing-tensor", shown(name), "The checkpoint is incomplete or of another architecture.");
      const [start, end] = rows ? rowRange(t, rows) : [t.start, t.end];
      return t.file.read(start, end);
    },
  };
}
