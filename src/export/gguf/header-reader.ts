/** The bytes of a GGUF header, read forwards. They come from a stranger: every length is checked before it is used. */
import { QuantError } from "../../errors";
import { shown } from "../../io/text";
import { valueTypes } from "./metadata-values";

type Scalar = number | boolean | string;
/** A value of the metadata: arrays as arrays, 64-bit integers as numbers. */
export type ReadValue = Scalar | readonly Scalar[];

/** The longest header. Vocabularies of 256,000 tokens with merges take 20 MB. */
export const mostBytes = 64 * 2 ** 20;
/** Values in all arrays together. The same vocabularies have 1.3 million, with their merges, scores and types. */
const mostValues = 4 * 2 ** 20;

/** The fewest bytes of a value; a type that is not here is none, or an array of arrays. */
const leastBytes: Readonly<Record<number, number>> = {
  [valueTypes.u8]: 1,
  [valueTypes.i8]: 1,
  [valueTypes.bool]: 1,
  [valueTypes.u16]: 2,
  [valueTypes.i16]: 2,
  [valueTypes.u32]: 4,
  [valueTypes.i32]: 4,
  [valueTypes.f32]: 4,
  [valueTypes.string]: 8,
  [valueTypes.u64]: 8,
  [valueTypes.i64]: 8,
  [valueTypes.f64]: 8,
};

export const again = "Write the file again; it is incomplete or not a GGUF file of version 3.";
export const bad = (name: string, problem: string) => new QuantError("bad-file", `${shown(name)}: ${problem}`, again);

/** Thrown where the bytes given end too early: the file may have more. */
export class Short extends Error {}

/** Its methods throw `Short`, and QuantError `bad-file` for what cannot be. */
export class HeaderReader {
  at = 0;
  private values = 0;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fileName: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** @throws QuantError `bad-file` beyond 2^53 − 1. */
  u64(): number {
    const from = this.take(8);
    // No bigint: there may be millions of lengths.
    const x = this.view.getUint32(from, true) + this.view.getUint32(from + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(x)) throw bad(this.fileName, `a number in its header is ${x}`);
    return x;
  }

  count(what: string, most: number): number {
    const n = this.u64();
    if (n > most) throw bad(this.fileName, `it tells of ${n} ${what}`);
    return n;
  }

  ascii(n: number): string {
    const from = this.take(n);
    return String.fromCharCode(...this.bytes.subarray(from, from + n));
  }

  string(): string {
    const length = this.u64();
    if (length > mostBytes) throw bad(this.fileName, `a string in its header has ${length} bytes`);
    const from = this.take(length);
    try {
      return this.decoder.decode(this.bytes.subarray(from, from + length));
    } catch (cause) {
      throw new QuantError("bad-file", `${shown(this.fileName)}: a string in its header is not UTF-8`, again, { cause });
    }
  }

  value(type: number): ReadValue {
    if (type !== valueTypes.array) return this.scalar(type);
    const element = this.u32();
    const count = this.u64();
    this.values += count;
    if (this.values > mostValues) throw bad(this.fileName, `its header has arrays of more than ${mostValues} values`);
    // Before any is read: a file that ends too early would be read again and again.
    if (this.at + count * (leastBytes[element] ?? 0) > this.bytes.length) throw new Short();
    const values: Scalar[] = [];
    for (let i = 0; i < count; i++) values.push(this.scalar(element));
    return values;
  }

  private scalar(type: number): Scalar {
    const { view } = this;
    switch (type) {
      case valueTypes.u8:
        return view.getUint8(this.take(1));
      case valueTypes.i8:
        return view.getInt8(this.take(1));
      case valueTypes.u16:
        return view.getUint16(this.take(2), true);
      case valueTypes.i16:
        return view.getInt16(this.take(2), true);
      case valueTypes.u32:
        return this.u32();
      case valueTypes.i32:
        return view.getInt32(this.take(4), true);
      case valueTypes.f32:
        return view.getFloat32(this.take(4), true);
      case valueTypes.bool:
        return this.bool();
      case valueTypes.string:
        return this.string();
      case valueTypes.u64:
        return this.u64();
      case valueTypes.i64:
        return Number(view.getBigInt64(this.take(8), true));
      case valueTypes.f64:
        return view.getFloat64(this.take(8), true);
      default:
        throw bad(this.fileName, `a value in its header has the type ${type}`);
    }
  }

  private bool(): boolean {
    const x = this.view.getUint8(this.take(1));
    if (x > 1) throw bad(this.fileName, `a truth value in its header is ${x}`);
    return x === 1;
  }

  private take(n: number): number {
    const from = this.at;
    if (from + n > this.bytes.length) throw new Short();
    this.at += n;
    return from;
  }
}
