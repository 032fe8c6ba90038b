/** ggml's block types decoded value by value, and a lax GGUF reader: independent of what src/export/gguf writes. */
import { f16ToNumber } from "../../src/io/dtype";

interface Decoder {
  id: number;
  values: number;
  bytes: number;
  /** Value i of the block that begins at `at`, in f32. */
  value(b: DataView, at: number, i: number): number;
}

const half = (b: DataView, at: number) => f16ToNumber(b.getUint16(at, true));
const f = Math.fround;
const nibble = (b: DataView, at: number, i: number) => (b.getUint8(at + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
/** Bit i of a string of them, lowest first. */
const bit = (b: DataView, at: number, i: number) => (b.getUint8(at + (i >> 3)) >> (i & 7)) & 1;
/** Two bits of value i in K types: halves of 128, in them runs of 32. */
const pair = (b: DataView, at: number, i: number) => (b.getUint8(at + 32 * (i >> 7) + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;
/** Four bits of value i in Q4_K and Q5_K. */
const four = (b: DataView, at: number, i: number) => (b.getUint8(at + 32 * (i >> 6) + (i & 31)) >> (4 * ((i >> 5) & 1))) & 15;

/** Scale (`from` 0) or min (`from` 4) of sub-block j of the 12 bytes of Q4_K. */
function six(b: DataView, at: number, j: number, from: 0 | 4): number {
  if (j < 4) return b.getUint8(at + from + j) & 63;
  return ((b.getUint8(at + 4 + j) >> from) & 15) | ((b.getUint8(at + from + j - 4) >> 6) << 4);
}

function q3Scale(b: DataView, at: number, j: number): number {
  const low = (b.getUint8(at + (j & 7)) >> (j < 8 ? 0 : 4)) & 15;
  const high = (b.getUint8(at + 8 + (j & 3)) >> (2 * (j >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

const affine = (b: DataView, d: number, dmin: number, scale: number, min: number, v: number) =>
  f(f(f(half(b, d) * scale) * v) - f(half(b, dmin) * min));

export const decoders: Readonly<Record<string, Decoder>> = {
  F32: { id: 0, values: 1, bytes: 4, value: (b, at) => b.getFloat32(at, true) },
  F16: { id: 1, values: 1, bytes: 2, value: half },
  Q4_0: { id: 2, values: 32, bytes: 18, value: (b, at, i) => f(half(b, at) * (nibble(b, at + 2, i) - 8)) },
  Q4_1: { id: 3, values: 32, bytes: 20, value: (b, at, i) => f(f(half(b, at) * nibble(b, at + 4, i)) + half(b, at + 2)) },
  Q5_0: { id: 6, values: 32, bytes: 22, value: (b, at, i) => f(half(b, at) * (nibble(b, at + 6, i) + 16 * bit(b, at + 2, i) - 16)) },
  Q5_1: {
    id: 7,
    values: 32,
    bytes: 24,
    value: (b, at, i) => f(f(half(b, at) * (nibble(b, at + 8, i) + 16 * bit(b, at + 4, i))) + half(b, at + 2)),
  },
  Q8_0: { id: 8, values: 32, bytes: 34, value: (b, at, i) => f(half(b, at) * b.getInt8(at + 2 + i)) },
  Q2_0: {
    id: 42,
    values: 64,
    bytes: 18,
    value: (b, at, i) => f(half(b, at) * (((b.getUint8(at + 2 + (i >> 2)) >> (2 * (i & 3))) & 3) - 1)),
  },
  Q2_K: {
    id: 10,
    values: 256,
    bytes: 84,
    value(b, at, i) {
      const parts = b.getUint8(at + (i >> 4));
      return affine(b, at + 80, at + 82, parts & 15, parts >> 4, pair(b, at + 16, i));
    },
  },
  Q3_K: {
    id: 11,
    values: 256,
    bytes: 110,
    value(b, at, i) {
      const v = pair(b, at + 32, i) | (((b.getUint8(at + (i & 31)) >> (i >> 5)) & 1) << 2);
      return f(f(half(b, at + 108) * q3Scale(b, at + 96, i >> 4)) * (v - 4));
    },
  },
  Q4_K: {
    id: 12,
    values: 256,
    bytes: 144,
    value: (b, at, i) => affine(b, at, at + 2, six(b, at + 4, i >> 5, 0), six(b, at + 4, i >> 5, 4), four(b, at + 16, i)),
  },
  Q5_K: {
    id: 13,
    values: 256,
    bytes: 176,
    value(b, at, i) {
      const v = four(b, at + 48, i) | (((b.getUint8(at + 16 + (i & 31)) >> (i >> 5)) & 1) << 4);
      return affine(b, at, at + 2, six(b, at + 4, i >> 5, 0), six(b, at + 4, i >> 5, 4), v);
    },
  },
  Q6_K: {
    id: 14,
    values: 256,
    bytes: 210,
    value(b, at, i) {
      const low = (b.getUint8(at + 64 * (i >> 7) + (i & 63)) >> (4 * ((i >> 6) & 1))) & 15;
      const v = low | (pair(b, at + 128, i) << 4);
      return f(f(half(b, at + 208) * b.getInt8(at + 192 + (i >> 4))) * (v - 32));
    },
  },
};

/** n values of that type. */
export function decode(type: string, bytes: Uint8Array, n: number): Float32Array {
  const { values, bytes: size, value } = decoders[type];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: n }, (_, i) => value(view, Math.floor(i / values) * size, i % values));
}

export interface ParsedGguf {
  version: number;
  keys: Map<string, unknown>;
  /** Offsets are from the start of the file; shapes as in the file, inputs first. */
  tensors: Map<string, { type: string; dims: number[]; at: number; data: Float32Array }>;
}

/** A whole file, trusted. */
export function parseGguf(bytes: Uint8Array): ParsedGguf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4;
  const take = (n: number) => {
    at += n;
    return at - n;
  };
  const u32 = () => view.getUint32(take(4), true);
  const u64 = () => Number(view.getBigUint64(take(8), true));
  const string = () => {
    const n = u64();
    const from = take(n);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(from, from + n));
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return view.getInt32(take(4), true);
    if (type === 6) return view.getFloat32(take(4), true);
    if (type === 2) return view.getUint16(take(2), true);
    if (type === 7) return view.getUint8(take(1)) === 1;
    if (type === 8) return string();
    if (type !== 9) throw new Error(`no such value type as ${type}`);
    const element = u32();
    return Array.from({ length: u64() }, () => value(element));
  };
  if (new TextDecoder().decode(bytes.subarray(0, 4)) !== "GGUF") throw new Error("no GGUF");
  const version = u32();
  const [tensorCount, keyCount] = [u64(), u64()];
  const keys = new Map(Array.from({ length: keyCount }, () => [string(), value(u32())] as const));
  const infos = Array.from({ length: tensorCount }, () => {
    const name = string();
    const dims = Array.from({ length: u32() }, u64);
    const id = u32();
    const type = Object.keys(decoders).find((key) => decoders[key].id === id)!;
    return { name, dims, type, offset: u64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = infos.map(({ name, dims, type, offset }) => {
    const data = decode(
      type,
      bytes.subarray(start + offset),
      dims.reduce((a, b) => a * b, 1),
    );
    return [name, { type, dims, at: start + offset, data }] as const;
  });
  return { version, keys, tensors: new Map(tensors) };
}
