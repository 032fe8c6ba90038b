/**
 * Dense LSB-first bit stream: value i occupies bits [i·b, (i+1)·b) of consecutive bytes (little-endian words); values may straddle
 * words. One layout for 2, 3, 4 and 8 bits (GPTQ, and compressed-tensors from 0.18).
 */
export function packBits(values: ArrayLike<number>, bits: number): Uint8Array {
  const out = new Uint8Array(Math.ceil((values.length * bits) / 8));
  for (let i = 0; i < values.length; i++) {
    // Divided, not shifted: 2³¹ bits are only 256 MB of codes, and >> would wrap beyond.
    const byte = Math.floor((i * bits) / 8);
    const shift = (i * bits) % 8;
    const shifted = values[i] << shift;
    out[byte] |= shifted;
    if (shift + bits > 8) out[byte + 1] |= shifted >> 8;
  }
  return out;
}

/** Inverse of `packBits`: the first `count` values. */
export function unpackBits(bytes: Uint8Array, bits: number, count: number): Uint8Array {
  const out = new Uint8Array(count);
  const mask = 2 ** bits - 1;
  for (let i = 0; i < count; i++) {
    const byte = Math.floor((i * bits) / 8);
    out[i] = ((bytes[byte] | ((bytes[byte + 1] ?? 0) << 8)) >> ((i * bits) % 8)) & mask;
  }
  return out;
}
