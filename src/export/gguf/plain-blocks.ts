/**
 * ggml's plain blocks: 32 or 64 neighbouring values of a row with one scale d, in some types with an offset m. All products are made in f32 by the reader.
 * Layouts: ggml-common.h (`block_q4_0`, `block_q4_1`, `block_q8_0`, `block_q2_0`). A packer writes one block at `at` of `out` from the codes that begin at
 * `from`, and gets d and m as f16 words.
 */

/** Little-endian. */
export const word16 = (out: Uint8Array, at: number, word: number) => {
  out[at] = word & 255;
  out[at + 1] = word >>> 8;
};

/** 16 bytes: byte j holds value j below and value j + 16 above. `shift` is added to each code. */
function nibbles(out: Uint8Array, at: number, codes: Uint8Array, from: number, shift: number): void {
  for (let j = 0; j < 16; j++) out[at + j] = (codes[from + j] + shift) | ((codes[from + j + 16] + shift) << 4);
}

/** d·(v − 8), v = code − zero + 8: d; nibbles. The codes must lie within 8 below and 7 above `zero`. */
export function q4_0(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number, zero: number): void {
  word16(out, at, d);
  nibbles(out, at + 2, codes, from, 8 - zero);
}

/** d·v + m: d; m; nibbles. */
export function q4_1(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number, m: number): void {
  word16(out, at, d);
  word16(out, at + 2, m);
  nibbles(out, at + 4, codes, from, 0);
}

/** d·(v − 16), v 0 … 31: d; a bit string of fifth bits; nibbles. */
export function q5_0(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number): void {
  word16(out, at, d);
  fifthBits(out, at + 2, codes, from);
}

/** d·v + m, v 0 … 31: d; m; as in Q5_0. */
export function q5_1(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number, m: number): void {
  word16(out, at, d);
  word16(out, at + 2, m);
  fifthBits(out, at + 4, codes, from);
}

/** 20 bytes: bit j is the fifth bit of value j, then the nibbles of the other four. */
function fifthBits(out: Uint8Array, at: number, codes: Uint8Array, from: number): void {
  for (let j = 0; j < 32; j++) out[at + (j >>> 3)] |= (codes[from + j] >>> 4) << (j & 7);
  for (let j = 0; j < 16; j++) out[at + 4 + j] = (codes[from + j] & 15) | ((codes[from + j + 16] & 15) << 4);
}

/** d·v, v = code − zero: d; 32 bytes with sign. */
export function q8_0(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number, zero: number): void {
  word16(out, at, d);
  for (let j = 0; j < 32; j++) out[at + 2 + j] = codes[from + j] - zero;
}

/**
 * d·(v − 1), v = 0 … 3: d; 16 bytes of four values in order, the first in the lowest bits. Its points are −d, 0, d, 2d, and those of a symmetric 2-bit grid
 * −2S, −S, 0, S, so v = 3 − code and d = −S.
 */
export function q2_0(out: Uint8Array, at: number, codes: Uint8Array, from: number, d: number): void {
  word16(out, at, d);
  for (let j = 0; j < 16; j++) {
    const c = from + 4 * j;
    out[at + 2 + j] = (3 - codes[c]) | ((3 - codes[c + 1]) << 2) | ((3 - codes[c + 2]) << 4) | ((3 - codes[c + 3]) << 6);
  }
}
