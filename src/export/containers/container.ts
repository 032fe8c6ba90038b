import type { Sink, Source } from "../../io/types";

/** One tensor of a file to be written; its data type is named as this kind of file names it. */
export interface EntrySpec<Dtype extends string = string> {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A kind of file for named tensors. It does not know what they mean. */
export interface Container<Dtype extends string = string> {
  /** Plans the files that hold these entries in this order, before any of their data is there. Throws `internal` for doubled or impossible ones. */
  layout(entries: readonly EntrySpec<Dtype>[]): Layout;
  /** The entries of the files in `written`, by name. @throws QuantError where they are malformed. */
  open(written: Source): Promise<ReadonlyMap<string, WrittenEntry>>;
}

/** The files that a container will write. */
export interface Layout {
  /** Bytes of all entries' data. */
  readonly dataBytes: number;
  /** Bytes of all its files. */
  readonly fileBytes: number;
  writer(sink: Sink): ContainerWriter;
}

/** Takes the entries' bytes strictly in the layout's order; opens and closes files by itself. */
export interface ContainerWriter {
  /** The next bytes of the entry: all of it, or a part, in which case the rest follows under the same name. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** All entries must be there. The sink is the caller's to finish. */
  end(): Promise<void>;
}

/** An entry as it is read back. */
export interface WrittenEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  read(start: number, end: number): Promise<Uint8Array>;
}
