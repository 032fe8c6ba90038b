import { misuse } from "../../errors";
import { shown } from "../../io/text";
import type { Sink, SinkFile } from "../../io/types";
import { defaultAlignment } from "../gguf/reader";
import { type GgmlType, tensorBytes } from "../gguf/types";
import type { ContainerWriter, EntrySpec } from "./container";

export type Spec = EntrySpec<GgmlType>;

/** A file to be written. */
export interface Part {
  name: string;
  header: Uint8Array;
  entries: readonly Spec[];
  size: number;
}

export const padded = (bytes: number) => Math.ceil(bytes / defaultAlignment) * defaultAlignment;
export const sizeOf = ({ name, dtype, shape }: Spec) => tensorBytes(name, dtype, shape);

/** Writes one part after the other. */
export class PartsWriter implements ContainerWriter {
  private readonly left: Part[];
  private current: GgufWriter;

  constructor(
    private readonly sink: Sink,
    parts: readonly Part[],
  ) {
    this.left = [...parts];
    this.current = this.next();
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    if (this.current.isFull && this.left.length) {
      await this.current.end();
      this.current = this.next();
    }
    await this.current.write(name, bytes);
  }

  async end(): Promise<void> {
    await this.current.end();
    const [missing] = this.left;
    if (missing) throw misuse(`${shown(missing.name)} was not written`);
  }

  private next(): GgufWriter {
    const { name, size, header, entries } = this.left.shift()!;
    return new GgufWriter(this.sink, name, size, header, entries);
  }
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

  /** Whether it has all its entries. */
  get isFull(): boolean {
    return this.tensor === this.entries.length;
  }

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
