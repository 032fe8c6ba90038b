/**
 * ggml's blocks as values, as llama.cpp makes them in f32 (ggml-quants.c, dequantize_row_…). Written for speed, a block at a time; src/export/gguf writes
 * these layouts and describes them.
 */

import { type GgmlType, ggmlTypes } from "../../export/gguf/types";
import { toFloats } from "../../io/dtype";

const f = Math.fround;
/** The f16 words of a block's scales (and offsets), by their bytes in the block. */
const floatsAt: Readonly<Partial<Record<GgmlType, readonly number[]>>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  Q2_0: [0],
};

/** The first block, counting from the first byte, whose scale or offset is NaN or infinite; −1: none. For types that are floats, the first such value. */
export function nonFiniteBlock(type: GgmlType, bytes: Uint8Array): number {
  if (type === "F32" || type === "F16") return toFloats(bytes, type).findIndex((x) => !Number.isFinite(x));
  const size = ggmlTypes[type].bytes;
  for (let at = 0; at < bytes.length; at += size)
    for (const offset of floatsAt[type]!) if ((bytes[at + offset + 1] & 0x7c) === 0x7c) return at / size;
  return -1;
}

type Decoder = (b: Uint8Array, at: number, out: Float32Array, to: number, half: (at: number) => number) => void;

let table: Float32Array | undefined;

/** The numbers of all f16 words, made once. */
function f16Values(): Float32Array {
  table ??= toFloats(new Uint8Array(Uint16Array.from({ length: 65536 }, (_, word) => word).buffer), "F16");
  return table;
}

/** The values of whole blocks. */
export function decodeBlocks(type: GgmlType, bytes: Uint8Array): Float32Array {
  if (type === "F32" || type === "F16") return toFloats(bytes, type);
  const { values, bytes: size } = ggmlTypes[type];
  const words = f16Values();
  const half = (at: number) => words[bytes[at] | (bytes[at + 1] << 8)];
  const out = new Float32Array((bytes.length / size) * values);
  const decode = decoders[type];
  for (let at = 0, to = 0; at < bytes.length; at += size, to += values) decode(bytes, at, out, to, half);
  return out;
}

const nibble = (b: Uint8Array, at: number, i: number) => (b[at + (i & 15)] >> (i < 16 ? 0 : 4)) & 15;
const fifth = (b: Uint8Array, at: number, i: number) => ((b[at + (i >> 3)] >> (i & 7)) & 1) << 4;
/** Two bits of value i in K types: halves of 128, in them runs of 32. */
const two = (b: Uint8Array, at: number, i: number) => (b[at + 32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
/** Four bits of value i in Q4_K and Q5_K: runs of 64, the first 32 below. */
const four = (b: Uint8Array, at: number, i: number) => (b[at + 32 * (i >> 6) + (i & 31)] >> (4 * ((i >> 5) & 1))) & 15;

/** Scale (`from` 0) or min (`from` 4) of sub-block j in Q4_K's and Q5_K's 12 bytes. */
function six(b: Uint8Array, at: number, j: number, from: 0 | 4): number {
  if (j < 4) return b[at + from + j] & 63;
  return ((b[at + 4 + j] >> from) & 15) | ((b[at + from + j - 4] >> 6) << 4);
}

function q3Scale(b: Uint8Array, at: number, j: number): number {
  const low = (b[at + (j & 7)] >> (j < 8 ? 0 : 4)) & 15;
  return (low | (((b[at + 8 + (j & 3)] >> (2 * (j >> 2))) & 3) << 4)) - 32;
}

/** 256 values in sub-blocks of `size`: scale·code − min of each. */
function subBlocks(
  out: Float32Array,
  to: number,
  size: number,
  scale: (j: number) => number,
  min: (j: number) => number,
  code: (i: number) => number,
): void {
  for (let j = 0; j < 256 / size; j++) {
    const [s, m] = [f(scale(j)), f(min(j))];
    for (let i = j * size; i < (j + 1) * size; i++) out[to + i] = f(s * code(i)) - m;
  }
}

const none = () => 0;

/** Q4_K and Q5_K: scales and mins of six bits, and codes of their own. */
function sixBit(...[b, at, out, to, half, code]: [...Parameters<Decoder>, (i: number) => number]): void {
  const [d, dmin] = [half(at), half(at + 2)];
  subBlocks(
    out,
    to,
    32,
    (j) => d * six(b, at + 4, j, 0),
    (j) => dmin * six(b, at + 4, j, 4),
    code,
  );
}

const decoders: Readonly<Record<Exclude<GgmlType, "F32" | "F16">, Decoder>> = {
  Q4_0(b, at, out, to, half) {
    const d = half(at);
    for (let i = 0; i < 32; i++) out[to + i] = d * (nibble(b, at + 2, i) - 8);
  },
  Q4_1(b, at, out, to, half) {
    const [d, m] = [half(at), half(at + 2)];
    for (let i = 0; i < 32; i++) out[to + i] = f(d * nibble(b, at + 4, i)) + m;
  },
  Q5_0(b, at, out, to, half) {
    const d = half(at);
    for (let i = 0; i < 32; i++) out[to + i] = d * ((nibble(b, at + 6, i) | fifth(b, at + 2, i)) - 16);
  },
  Q5_1(b, at, out, to, half) {
    const [d, m] = [half(at), half(at + 2)];
    for (let i = 0; i < 32; i++) out[to + i] = f(d * (nibble(b, at + 8, i) | fifth(b, at + 4, i))) + m;
  },
  Q8_0(b, at, out, to, half) {
    const d = half(at);
    for (let i = 0; i < 32; i++) out[to + i] = d * ((b[at + 2 + i] << 24) >> 24);
  },
  Q2_0(b, at, out, to, half) {
    const d = half(at);
    for (let i = 0; i < 64; i++) out[to + i] = d * (((b[at + 2 + (i >> 2)] >> (2 * (i & 3))) & 3) - 1);
  },
  Q2_K(b, at, out, to, half) {
    const [d, dmin] = [half(at + 80), half(at + 82)];
    subBlocks(
      out,
      to,
      16,
      (j) => d * (b[at + j] & 15),
      (j) => dmin * (b[at + j] >> 4),
      (i) => two(b, at + 16, i),
    );
  },
  Q3_K(b, at, out, to, half) {
    const d = half(at + 108);
    const code = (i: number) => (two(b, at + 32, i) | (((b[at + (i & 31)] >> (i >> 5)) & 1) << 2)) - 4;
    subBlocks(out, to, 16, (j) => d * q3Scale(b, at + 96, j), none, code);
  },
  Q4_K: (b, at, out, to, half) => sixBit(b, at, out, to, half, (i) => four(b, at + 16, i)),
  Q5_K: (b, at, out, to, half) =>
    sixBit(b, at, out, to, half, (i) => four(b, at + 48, i) | (((b[at + 16 + (i & 31)] >> (i >> 5)) & 1) << 4)),
  Q6_K(b, at, out, to, half) {
    const d = half(at + 208);
    const low = (i: number) => (b[at + 64 * (i >> 7) + (i & 63)] >> (4 * ((i >> 6) & 1))) & 15;
    const code = (i: number) => (low(i) | (two(b, at + 128, i) << 4)) - 32;
    subBlocks(out, to, 16, (j) => d * ((b[at + 192 + j] << 24) >> 24), none, code);
  },
};
