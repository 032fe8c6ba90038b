/**
 * Dense LSB-first bit stream: value i occupies bits [i·b, (i+1)·b) of consecutive little-endian 32-bit words; values may straddle
 * words. One layout for 2, 3, 4 and 8 bits (GPTQ, and compressed-tensors from 0.18).
 */
export function packBits(values: ArrayLike<number>, bits: number): Uint32Array {
  const words = new Uint32Array(Math.ceil((values.length * bits) / 32));
  for (let i = 0; i < values.length; i++) {
    // Divided, not shifted: the position in bits may pass 2³¹, where >> would wrap.
    const at = Math.floor((i * bits) / 32);
    const shift = (i * bits) % 32;
    words[at] |= values[i] << shift;
    if (shift + bits > 32) words[at + 1] |= values[i] >>> (32 - shift);
  }
  return words;
}

/** Inverse of `packBits`: the first `count` values. */
export function unpackBits(words: Uint32Array, bits: number, count: number): Uint8Array {
  const values = new Uint8Array(count);
  const mask = 2 ** bits - 1;
  for (let i = 0; i < count; i++) {
    const at = Math.floor((i * bits) / 32);
    const shift = (i * bits) % 32;
    const high = shift + bits > 32 ? words[at + 1] << (32 - shift) : 0;
    values[i] = ((words[at] >>> shift) | high) & mask;
  }
  return values;
}
