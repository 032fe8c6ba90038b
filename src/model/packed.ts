import { QuantError } from "../errors";
import { findNonFinite, toFloats } from "../io/dtype";
import type { Shards } from "../io/types";
import { unpackBits } from "../ops/bits";
import type { PackedMatrix } from "../ops/packed";
import type { Packing } from "./packing";

/** The bytes of a tensor as 32-bit words; checked to be I32 when the model was opened. */
async function words(shards: Shards, name: string): Promise<Uint32Array> {
  return new Uint32Array(new Uint8Array(await shards.readTensor(name)).buffer);
}

/** [rows, columns] → [columns, rows]. */
function transpose<T extends Uint32Array | Float32Array>(data: T, rows: number, columns: number): T {
  const out = data.slice() as T;
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}

/**
 * One packed layer of a GPTQ checkpoint, ours or another program's, with its inputs grouped as g_idx says.
 * @param name without ".qweight". @param shape [out, in].
 * @throws QuantError `non-finite-weights`, `contradiction` for a g_idx that names no group.
 */
export async function readPacked(shards: Shards, name: string, shape: readonly [number, number], packing: Packing): Promise<PackedMatrix> {
  const [out, n] = shape;
  const { bits } = packing;
  const qweight = await words(shards, `${name}.qweight`);
  const { scales, groups, half } = await readScales(shards, name, out);
  const zeros = zerosOf(await words(shards, `${name}.qzeros`), out, groups, packing);
  const codes = transpose(qweight, (n * bits) / 32, out);
  return { shape, bits, words: codes, gridKind: "integer-zero", scales, zeros, groupOf: await groupIndexOf(shards, name, n, groups), half };
}

async function readScales(shards: Shards, name: string, out: number): Promise<{ scales: Float32Array; groups: number; half: boolean }> {
  const info = shards.tensors.get(`${name}.scales`)!;
  const bytes = await shards.readTensor(info.name);
  const bad = findNonFinite(bytes, info.dtype);
  if (bad)
    throw new QuantError(
      "non-finite-weights",
      `${info.name} has ${bad.count} of them, the first at index ${bad.index}`,
      "The checkpoint is damaged: download it again.",
    );
  const groups = info.shape[0];
  return { scales: transpose(toFloats(bytes, info.dtype), groups, out), groups, half: info.dtype === "F16" };
}

/** Zeros [out, G] from qzeros, where v1 stores each minus one modulo 2^bits: a zero of 0 as the largest code. */
function zerosOf(qzeros: Uint32Array, out: number, groups: number, { bits, zeroOffset }: Packing): Uint8Array {
  const perRow = qzeros.length / groups;
  const zeros = new Uint8Array(out * groups);
  for (let g = 0; g < groups; g++) {
    const row = unpackBits(qzeros.subarray(g * perRow, (g + 1) * perRow), bits, out);
    for (let o = 0; o < out; o++) zeros[o * groups + g] = (row[o] + zeroOffset) % 2 ** bits;
  }
  return zeros;
}

/** The group of each input, from g_idx; undefined where groups are equal runs of inputs in order. */
async function groupIndexOf(shards: Shards, name: string, n: number, groups: number): Promise<Uint32Array | undefined> {
  if (!shards.tensors.has(`${name}.g_idx`)) return undefined;
  const index = await words(shards, `${name}.g_idx`);
  const bad = index.findIndex((g) => g >= groups);
  if (bad >= 0)
    throw new QuantError(
      "contradiction",
      `${name}.g_idx names group ${index[bad]} at position ${bad}, but there are only ${groups} groups`,
      "The checkpoint is damaged: download it again.",
    );
  return index.every((g, i) => g === Math.floor((i * groups) / n)) ? undefined : index;
}
