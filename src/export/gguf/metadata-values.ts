/** The typed values of a GGUF file's metadata, and its bytes. Format: ggml's docs/gguf.md, version 3; everything little-endian. */

export type Value =
  | { readonly type: "u16" | "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s" | "f32s"; readonly value: ArrayLike<number> };

export type Metadata = ReadonlyMap<string, Value>;

export const u16 = (value: number): Value => ({ type: "u16", value });
export const u32 = (value: number): Value => ({ type: "u32", value });
export const i32 = (value: number): Value => ({ type: "i32", value });
export const f32 = (value: number): Value => ({ type: "f32", value });
export const bool = (value: boolean): Value => ({ type: "bool", value });
export const text = (value: string): Value => ({ type: "string", value });
export const texts = (value: readonly string[]): Value => ({ type: "strings", value });
export const i32s = (value: ArrayLike<number>): Value => ({ type: "i32s", value });
export const f32s = (value: ArrayLike<number>): Value => ({ type: "f32s", value });

/** Numbers of the types in a file. */
export const valueTypes = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

/** Bytes that are appended to. */
export class Bytes {
  private buffer = new Uint8Array(1024);
  private view = new DataView(this.buffer.buffer);
  private at = 0;
  private readonly encoder = new TextEncoder();

  get length(): number {
    return this.at;
  }

  u8(x: number): void {
    const at = this.room(1);
    this.view.setUint8(at, x);
  }

  u16(x: number): void {
    const at = this.room(2);
    this.view.setUint16(at, x, true);
  }

  u32(x: number): void {
    const at = this.room(4);
    this.view.setUint32(at, x, true);
  }

  i32(x: number): void {
    const at = this.room(4);
    this.view.setInt32(at, x, true);
  }

  u64(x: number): void {
    const at = this.room(8);
    this.view.setBigUint64(at, BigInt(x), true);
  }

  f32(x: number): void {
    const at = this.room(4);
    this.view.setFloat32(at, x, true);
  }

  /** A length of 64 bits, then UTF-8. */
  string(x: string): void {
    const bytes = this.encoder.encode(x);
    this.u64(bytes.length);
    this.append(bytes);
  }

  append(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** Zeros up to a multiple of n. */
  pad(n: number): void {
    this.room((n - (this.at % n)) % n);
  }

  take(): Uint8Array {
    return this.buffer.subarray(0, this.at);
  }

  /** The place of so many new bytes. It may replace buffer and view, so it comes before either is used. */
  private room(bytes: number): number {
    const from = this.at;
    this.at += bytes;
    if (this.at > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.at, 2 * this.buffer.length));
      larger.set(this.buffer);
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    return from;
  }
}

/** All keys with their values, as they stand between a file's counts and its tensor infos. */
export function encodeMetadata(metadata: Metadata): Uint8Array {
  const out = new Bytes();
  for (const [key, value] of metadata) {
    out.string(key);
    encodeValue(out, value);
  }
  return out.take();
}

function encodeValue(out: Bytes, value: Value): void {
  switch (value.type) {
    case "strings":
      beginArray(out, "string", value.value.length);
      for (const x of value.value) out.string(x);
      break;
    case "i32s":
    case "f32s": {
      const element = value.type === "i32s" ? "i32" : "f32";
      beginArray(out, element, value.value.length);
      for (let i = 0; i < value.value.length; i++) out[element](value.value[i]);
      break;
    }
    default:
      out.u32(valueTypes[value.type]);
      encodeScalar(out, value);
  }
}

function encodeScalar(out: Bytes, { type, value }: Exclude<Value, { type: `${string}s` }>): void {
  if (type === "bool") out.u8(value ? 1 : 0);
  else if (type === "string") out.string(value);
  else out[type](value);
}

function beginArray(out: Bytes, element: "string" | "i32" | "f32", count: number): void {
  out.u32(valueTypes.array);
  out.u32(valueTypes[element]);
  out.u64(count);
}
