/**
 * ggml's super-blocks (K-quants): 256 neighbouring values of a row. Sub-blocks of 16 or 32 have integer scales (and mins), which d (and dmin), of the whole
 * super-block, multiply. All products are made in f32 by the reader. Layouts: ggml-common.h (`block_q2_K` … `block_q6_K`).
 */
import { word16 } from "./plain-blocks";

/** What one super-block holds. */
export interface SuperBlock {
  /** 256 codes from `from` on. */
  readonly codes: Uint8Array;
  readonly from: number;
  /** One integer a sub-block. */
  readonly scales: ArrayLike<number>;
  /** One integer a sub-block; types without mins leave them alone. */
  readonly mins: ArrayLike<number>;
  /** f16 words. */
  readonly d: number;
  readonly dmin: number;
}

/** Writes a super-block at `at` of `out`, whose bytes there are zero. */
export type KPacker = (out: Uint8Array, at: number, block: SuperBlock) => void;

/** d·sc·v − dmin·m; v 0 … 3; sixteen sc and m of 4 bits. */
export const q2K: KPacker = (out, at, { codes, from, scales, mins, d, dmin }) => {
  for (let j = 0; j < 16; j++) out[at + j] = scales[j] | (mins[j] << 4);
  twoBits(out, at + 16, codes, from, 0);
  word16(out, at + 80, d);
  word16(out, at + 82, dmin);
};

/** d·sc·(v − 4); v 0 … 7; sixteen sc, −32 … 31. */
export const q3K: KPacker = (out, at, { codes, from, scales, d }) => {
  for (let i = 0; i < 256; i++) out[at + (i % 32)] |= (codes[from + i] >>> 2) << (i >>> 5);
  twoBits(out, at + 32, codes, from, 0);
  sixteenScales(out, at + 96, scales);
  word16(out, at + 108, d);
};

/** d·sc·v − dmin·m; v 0 … 15; eight sc and m of 6 bits. */
export const q4K: KPacker = (out, at, { codes, from, scales, mins, d, dmin }) => {
  word16(out, at, d);
  word16(out, at + 2, dmin);
  eightScalesAndMins(out, at + 4, scales, mins);
  fourBits(out, at + 16, codes, from);
};

/** d·sc·v − dmin·m; v 0 … 31; eight sc and m of 6 bits. */
export const q5K: KPacker = (out, at, { codes, from, scales, mins, d, dmin }) => {
  word16(out, at, d);
  word16(out, at + 2, dmin);
  eightScalesAndMins(out, at + 4, scales, mins);
  // Bit s of byte l: the fifth bit of value l of sub-block s.
  for (let i = 0; i < 256; i++) out[at + 16 + (i % 32)] |= (codes[from + i] >>> 4) << (i >>> 5);
  fourBits(out, at + 48, codes, from);
};

/** d·sc·(v − 32); v 0 … 63; sixteen sc, −128 … 127. */
export const q6K: KPacker = (out, at, { codes, from, scales, d }) => {
  for (let half = 0; half < 2; half++) {
    const c = from + 128 * half;
    const low = at + 64 * half;
    for (let l = 0; l < 64; l++) out[low + l] = (codes[c + l] & 15) | ((codes[c + l + 64] & 15) << 4);
  }
  twoBits(out, at + 128, codes, from, 4);
  for (let j = 0; j < 16; j++) out[at + 192 + j] = scales[j];
  word16(out, at + 208, d);
};

/** 64 bytes: in each half of 128 values, byte l holds two bits (from bit `shift` on) of values l, l + 32, l + 64 and l + 96. */
function twoBits(out: Uint8Array, at: number, codes: Uint8Array, from: number, shift: number): void {
  const bits = (i: number) => (codes[from + i] >>> shift) & 3;
  for (let half = 0; half < 2; half++)
    for (let l = 0; l < 32; l++) {
      const i = 128 * half + l;
      out[at + 32 * half + l] = bits(i) | (bits(i + 32) << 2) | (bits(i + 64) << 4) | (bits(i + 96) << 6);
    }
}

/** 128 bytes: in each run of 64 values, byte l holds the low four bits of values l and l + 32. */
function fourBits(out: Uint8Array, at: number, codes: Uint8Array, from: number): void {
  for (let run = 0; run < 4; run++)
    for (let l = 0; l < 32; l++) {
      const i = from + 64 * run + l;
      out[at + 32 * run + l] = (codes[i] & 15) | ((codes[i + 32] & 15) << 4);
    }
}

/** 12 bytes: sixteen numbers u = sc + 32; byte j % 8 has the low half of u_j (below for j < 8), byte 8 + j % 4 its top two bits at 2·(j / 4). */
function sixteenScales(out: Uint8Array, at: number, scales: ArrayLike<number>): void {
  for (let j = 0; j < 16; j++) {
    const u = scales[j] + 32;
    out[at + (j % 8)] |= (u & 15) << (j < 8 ? 0 : 4);
    out[at + 8 + (j % 4)] |= (u >>> 4) << (2 * (j >>> 2));
  }
}

/** 12 bytes: 0–3 and 4–7 hold the first four sc and m, above them the top two bits of the last four, whose low halves follow, sc below m. */
function eightScalesAndMins(out: Uint8Array, at: number, scales: ArrayLike<number>, mins: ArrayLike<number>): void {
  for (let j = 0; j < 4; j++) {
    out[at + j] = scales[j] | ((scales[j + 4] >>> 4) << 6);
    out[at + 4 + j] = mins[j] | ((mins[j + 4] >>> 4) << 6);
    out[at + 8 + j] = (scales[j + 4] & 15) | ((mins[j + 4] & 15) << 4);
  }
}
