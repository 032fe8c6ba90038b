/**
 * The row of the source that stands in row r of a tensor whose heads llama.cpp rotates by neighbouring rows (architecture "llama": q and k). Hugging Face has the two halves
 * of a head one after the other: [heads, 2, d/2] becomes [heads, d/2, 2].
 */
export function interleaved(r: number, headDim: number): number {
  const inHead = r % headDim;
  return r - inHead + (inHead % 2) * (headDim / 2) + (inHead >>> 1);
}

/** Rows of `rowBytes` each in that order; whole heads. */
export function interleavedRows(rows: Uint8Array, rowBytes: number, headDim: number): Uint8Array {
  const out = new Uint8Array(rows.length);
  for (let r = 0; r < rows.length / rowBytes; r++) {
    const from = interleaved(r, headDim) * rowBytes;
    out.set(rows.subarray(from, from + rowBytes), r * rowBytes);
  }
  return out;
}
