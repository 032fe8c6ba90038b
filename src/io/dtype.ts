/** Number formats of safetensors on the host: sizes, exact conversions to f32, rounding to f16 and bf16, the NaN scan. */
import { QuantError } from "../errors";
import type { Dtype } from "./types";

/** Bytes of one element. Keys are our own names, never a file's. */
export const dtypeBytes: Readonly<Record<Dtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

const known: ReadonlyMap<string, Dtype> = new Map(Object.keys(dtypeBytes).map((k) => [k, k as Dtype]));

/** Legal in safetensors 0.8 but not handled here: such a file is well-formed, so its message must not call it broken. */
const foreign: ReadonlySet<string> = new Set(["F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"]);

/** A dtype name of a file as ours, "foreign" when legal but not handled here, undefined when no such dtype exists. */
export function parseDtype(name: string): Dtype | "foreign" | undefined {
  return known.get(name) ?? (foreign.has(name) ? "foreign" : undefined);
}

/** Bytes of a tensor of this shape; Infinity when the count passes 2^53 - 1 on the way, whatever dimensions follow. */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number {
  let bytes = dtypeBytes[dtype];
  for (const d of shape) {
    bytes *= d;
    if (bytes > Number.MAX_SAFE_INTEGER) return Number.POSITIVE_INFINITY;
  }
  return bytes;
}

/** The bytes, copied where they do not start at a multiple of `width` (a tensor may start at any offset of its file). */
function aligned(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.byteOffset % width === 0 ? bytes : bytes.slice();
}

function u16(bytes: Uint8Array): Uint16Array {
  const b = aligned(bytes, 2);
  return new Uint16Array(b.buffer, b.byteOffset, b.byteLength >>> 1);
}

function u32(bytes: Uint8Array): Uint32Array {
  const b = aligned(bytes, 4);
  return new Uint32Array(b.buffer, b.byteOffset, Math.floor(b.byteLength / 4));
}

const double = new Float64Array(1);
const doubleBits = new Uint32Array(double.buffer);
const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The number that an f16 word stands for, exactly. */
export function f16ToNumber(word: number): number {
  const sign = word & 0x8000 ? -1 : 1;
  const exponent = (word >>> 10) & 31;
  const fraction = word & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let f16Table: Float32Array | undefined;

/** All 65,536 f16 values, made once (256 KiB): over a whole model a table is several times faster than the arithmetic. */
function f16Values(): Float32Array {
  f16Table ??= Float32Array.from({ length: 65536 }, (_, word) => f16ToNumber(word));
  return f16Table;
}

/** Little-endian F16, BF16 or F32 bytes as f32, exactly. Throws `unsupported-dtype` for any other dtype. */
export function toFloats(bytes: Uint8Array, dtype: Dtype): Float32Array {
  if (dtype === "F32") return new Float32Array(new Uint8Array(bytes).buffer); // copied so: slice() of a Node Buffer is a view
  if (dtype !== "F16" && dtype !== "BF16") {
    throw new QuantError("unsupported-dtype", `${dtype} cannot be read as float`, "Convert the checkpoint to F16, BF16 or F32 first.");
  }
  const words = u16(bytes);
  const out = new Float32Array(words.length);
  if (dtype === "BF16") {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < words.length; i++) bits[i] = words[i] << 16;
    return out;
  }
  const table = f16Values();
  for (let i = 0; i < words.length; i++) out[i] = table[words[i]];
  return out;
}

/** Adding 2^52 leaves no fraction bits, so the FPU itself rounds half to even; exact for 0 <= x < 2^51. */
const roundEven = (x: number) => x + 2 ** 52 - 2 ** 52;

/** The least magnitude that rounds to infinity in f16: halfway between 65504, its largest, and the power of 2 above. */
const leastBeyondF16 = 65520;

/** The f16 word nearest to a double (ties to even; beyond 65519.99… infinity). Directly from f64: via f32 would round twice. */
export function f16Word(x: number): number {
  double[0] = x;
  const sign = (doubleBits[1] >>> 16) & 0x8000;
  const a = Math.abs(x);
  if (Number.isNaN(x)) return sign | 0x7e00;
  if (a >= leastBeyondF16) return sign | 0x7c00;
  if (a < 2 ** -14) return sign | roundEven(a * 2 ** 24);
  const exponent = ((doubleBits[1] >>> 20) & 0x7ff) - 1023;
  // A fraction that rounds up to 2048 carries into the exponent, which is just the next f16.
  return sign | (((exponent + 14) << 10) + roundEven(a * 2 ** (10 - exponent)));
}

/** The value of f16 nearest to x, as a number; ±Infinity beyond f16's range. */
export function toF16(x: number): number {
  return f16ToNumber(f16Word(x));
}

/** The value nearest to x ≥ 0 among those that f16 holds in so many significant bits (f16 has 11), ties to even; Infinity beyond f16's range. */
export function toShortF16(x: number, digits: number): number {
  double[0] = x;
  const exponent = ((doubleBits[1] >>> 20) & 0x7ff) - 1023;
  const step = Math.max(2 ** (exponent - digits + 1), 2 ** -24);
  return toF16(roundEven(x / step) * step);
}

/** The f16 word for f32 bits; the same as f16Word, in integer arithmetic. */
function f16FromBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const x = bits & 0x7fffffff;
  if (x >= 0x477ff000) return sign | (x > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (x >= 0x38800000) return sign | ((x - 0x38000000 + 0xfff + ((x >>> 13) & 1)) >>> 13);
  const shift = 126 - (x >>> 23);
  if (shift > 24) return sign;
  const mantissa = (x & 0x7fffff) | 0x800000;
  const whole = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (whole + (rest > half || (rest === half && whole & 1) ? 1 : 0));
}

/** f32 or f64 values as f16 words, round half to even, subnormals kept, overflow to infinity. */
export function toF16Words(values: Float32Array | Float64Array): Uint16Array {
  const out = new Uint16Array(values.length);
  if (values instanceof Float64Array) {
    for (let i = 0; i < out.length; i++) out[i] = f16Word(values[i]);
    return out;
  }
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < out.length; i++) out[i] = f16FromBits(bits[i]);
  return out;
}

/** The bf16 word nearest to a double (ties to even; beyond bf16's range infinity). */
export function bf16Word(x: number): number {
  double[0] = x;
  const exponent = Math.max(((doubleBits[1] >>> 20) & 0x7ff) - 1023, -126);
  const step = 2 ** (exponent - 7);
  single[0] = Math.sign(x) * roundEven(Math.abs(x) / step) * step;
  return singleBits[0] >>> 16;
}

/** f32 values as bf16 words, as `bf16Word` rounds them, in integer arithmetic. */
function toBf16Words(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < out.length; i++) {
    const x = bits[i];
    const isNan = (x & 0x7fffffff) > 0x7f800000;
    out[i] = isNan ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return out;
}

export type FloatDtype = "F32" | "F16" | "BF16";

export const isFloat = (dtype: string): dtype is FloatDtype => dtype === "F32" || dtype === "F16" || dtype === "BF16";

/** Little-endian floats in another dtype, each rounded once, half to even. */
export function convertFloats(bytes: Uint8Array, from: FloatDtype, to: FloatDtype): Uint8Array {
  if (from === to) return bytes;
  const values = toFloats(bytes, from);
  const made = to === "F32" ? values : to === "F16" ? toF16Words(values) : toBf16Words(values);
  return new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
}

/** Where NaN or infinity sits in a tensor: the first element's index and how many there are. */
export interface NonFinite {
  index: number;
  count: number;
}

/** Counts words whose masked bits are all ones: the exponent of every IEEE format, the whole magnitude of E4M3. */
function countAllOnes(words: ArrayLike<number>, mask: number, first = 0, step = 1): NonFinite | null {
  let index = -1;
  let count = 0;
  for (let i = first; i < words.length; i += step) {
    if ((words[i] & mask) === mask) {
      if (count++ === 0) index = (i - first) / step;
    }
  }
  return count ? { index, count } : null;
}

/** Scans little-endian bytes for NaN and ±infinity; null when all are finite (always, for integer dtypes). */
export function findNonFinite(bytes: Uint8Array, dtype: Dtype): NonFinite | null {
  if (dtype === "F16") return countAllOnes(u16(bytes), 0x7c00);
  if (dtype === "BF16") return countAllOnes(u16(bytes), 0x7f80);
  if (dtype === "F32") return countAllOnes(u32(bytes), 0x7f800000);
  if (dtype === "F64") return countAllOnes(u32(bytes), 0x7ff00000, 1, 2);
  if (dtype === "F8_E5M2") return countAllOnes(bytes, 0x7c);
  if (dtype === "F8_E4M3") return countAllOnes(bytes, 0x7f);
  return null;
}

/** The least magnitudes, as bits, that round to infinity in f16. */
const beyond = { BF16: 0x4780, F32: 0x477ff000 };

/** Whether a value is infinite in f16, or no number. */
export const isBeyondF16 = (x: number): boolean => !(Math.abs(x) < leastBeyondF16);

/** The first finite element that f16 cannot hold; null when there is none (always, for dtypes that cannot reach so far). */
export function findBeyondF16(bytes: Uint8Array, dtype: Dtype): { index: number; value: number } | null {
  if (dtype === "F64") {
    const values = new Float64Array(new Uint8Array(bytes).buffer);
    const at = values.findIndex((x) => Math.abs(x) >= leastBeyondF16);
    return at < 0 ? null : { index: at, value: values[at] };
  }
  if (dtype !== "BF16" && dtype !== "F32") return null;
  const words = dtype === "BF16" ? u16(bytes) : u32(bytes);
  const magnitude = dtype === "BF16" ? 0x7fff : 0x7fffffff;
  for (let i = 0; i < words.length; i++)
    if ((words[i] & magnitude) >= beyond[dtype]) {
      const width = dtypeBytes[dtype];
      return { index: i, value: toFloats(bytes.subarray(i * width, (i + 1) * width), dtype)[0] };
    }
  return null;
}
