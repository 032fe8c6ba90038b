/**
 * Dense LSB-first bit stream: value i occupies bits [i·b, (i+1)·b) of consecutive little-endian 32-bit words; values may straddle
 * words. One layout for 2, 3, 4 and 8 bits (GPTQ, and compressed-tensors from 0.18).
 */
export function packBits(values: ArrayLike<number>, bits: number): Uint32Array {
  const words = new Uint32Array(Math.ceil((values.length * bits) / 32));
  let at = 0;
  let shift = 0;
  for (let i = 0; i < values.length; i++) {
    words[at] |= values[i] << shift;
    shift += bits;
    if (shift < 32) continue;
    at++;
    shift -= 32;
    if (shift > 0) words[at] = values[i] >>> (bits - shift);
  }
  return words;
}

/** Inverse of `packBits`, for rows that each begin with a whole word: the first `count` values of each, in `values`. */
export function unpackBits(words: Uint32Array, bits: number, count: number, rows = 1, values = new Uint8Array(rows * count)): Uint8Array {
  const mask = 2 ** bits - 1;
  const perRow = words.length / rows;
  for (let row = 0; row < rows; row++) {
    let at = row * perRow;
    let shift = 0;
    for (let i = row * count; i < (row + 1) * count; i++) {
      let value = words[at] >>> shift;
      shift += bits;
      if (shift >= 32) {
        at++;
        shift -= 32;
        if (shift > 0) value |= words[at] << (bits - shift);
      }
      values[i] = value & mask;
    }
  }
  return values;
}
