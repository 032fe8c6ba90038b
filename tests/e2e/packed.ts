/** Packed layers of an export, through the strict reader. */
import { readHeader } from "../../src/io/header";
import { bytesFile } from "../../src/io/memory";

export interface Packed {
  /** By the tensor's last name: qweight, qzeros, scales, g_idx. */
  shapes: Record<string, number[]>;
  /** [in · bits / 32, out] */
  qweight: Uint32Array;
}

export async function readPacked(files: [name: string, content: Buffer][]): Promise<Map<string, Packed>> {
  const layers = new Map<string, Packed>();
  for (const [name, content] of files) {
    for (const tensor of (await readHeader(bytesFile(name, content))).tensors) {
      const [, layer, part] = /^(.*)\.(qweight|qzeros|scales|g_idx)$/.exec(tensor.name) ?? [];
      if (!layer) continue;
      const packed = layers.get(layer) ?? { shapes: {}, qweight: new Uint32Array() };
      packed.shapes[part] = [...tensor.shape];
      if (part === "qweight") packed.qweight = new Uint32Array(new Uint8Array(content.subarray(tensor.start, tensor.end)).buffer);
      layers.set(layer, packed);
    }
  }
  return layers;
}

/** Each column is a stream of bits, the least significant of each word first. */
export function codesOf({ qweight, shapes }: Packed, bits: number): Uint8Array {
  const [words, out] = shapes.qweight;
  const n = (words * 32) / bits;
  const codes = new Uint8Array(n * out);
  for (let column = 0; column < out; column++) {
    for (let i = 0; i < n; i++) {
      const at = i * bits;
      const low = qweight[(at >> 5) * out + column] >>> (at & 31);
      const over = (at & 31) + bits - 32;
      const high = over > 0 ? qweight[((at >> 5) + 1) * out + column] << (bits - over) : 0;
      codes[i * out + column] = (low | high) & ((1 << bits) - 1);
    }
  }
  return codes;
}
