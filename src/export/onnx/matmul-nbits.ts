/**
 * The tensors of a quantized layer as the operator MatMulNBits of com.microsoft (onnxruntime, docs/ContribOperators.md) takes them:
 * y = x·(s·(code − z))ᵀ with one s and z for every output and block of inputs.
 */
import { tensorBytes, toF16Words } from "../../io/dtype";
import type { Dtype } from "../../io/types";
import { codesOf } from "../../ops/packed";
import type { PackedLayer } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { EntrySpec } from "../containers/container";
import type { Entry } from "../formats/format";
import { onGrid } from "../formats/source-order";

/** How a layer lies in MatMulNBits' tensors. */
export interface Blocks {
  /** Bits of a code: 3-bit codes are put into 4, for which there are kernels. */
  readonly bits: 2 | 4 | 8;
  /** Inputs of a block: a power of two from 16 on. */
  readonly size: number;
  /** Blocks of a row; the last one may reach beyond it. */
  readonly count: number;
}

const largestBlock = 128;
const smallestBlock = 16;
/** For rows that no power of two from 16 on divides. */
const brokenBlock = 32;

/** A group is a block; a whole row is cut into the largest equal blocks, which all have its s and z. */
export function blocksOf({ shape: [, n], grid }: Pick<LayerPlan, "shape" | "grid">): Blocks {
  const bits = grid.bits === 3 ? 4 : grid.bits;
  const size = grid.groupSize > 0 ? grid.groupSize : rowBlock(n);
  return { bits: bits as Blocks["bits"], size, count: Math.ceil(n / size) };
}

function rowBlock(n: number): number {
  for (let size = largestBlock; size >= smallestBlock; size /= 2) if (n % size === 0) return size;
  return brokenBlock;
}

/** Codes U8 [out, blocks, bytes of a block], scales [out, blocks] and, where the grid is asymmetric, zeros U8 [out, bytes of a row's zeros]. */
export function layerEntries({ name, shape, grid }: LayerPlan, blocks: Blocks, float: "F32" | "F16"): Entry[] {
  const [out] = shape;
  const { bits, size, count } = blocks;
  const entry = (spec: EntrySpec, bytes: (layer: PackedLayer) => Iterable<Uint8Array>): Entry => ({
    spec,
    copies: null,
    async *bytes(parts) {
      yield* bytes(onGrid(await parts.layer(name), "integer-zero"));
    },
  });
  const codes = { name: `${name}.qweight`, dtype: "U8", shape: [out, count, (size * bits) / 8] };
  const scales = { name: `${name}.scales`, dtype: float, shape: [out, count] };
  const zeros = { name: `${name}.qzeros`, dtype: "U8", shape: [out, Math.ceil((count * bits) / 8)] };
  return [
    entry(codes, (layer) => codeBytes(layer, blocks)),
    entry(scales, (layer) => [scaleBytes(layer, count, float)]),
    ...(grid.symmetric ? [] : [entry(zeros, (layer) => [zeroBytes(layer, blocks)])]),
  ];
}

/** Bits of a weight in these tensors. */
export function bitsOf(layer: LayerPlan, float: "F32" | "F16"): number {
  const entries = layerEntries(layer, blocksOf(layer), float);
  const bytes = entries.reduce((sum, { spec }) => sum + tensorBytes(spec.dtype as Dtype, spec.shape), 0);
  return (8 * bytes) / (layer.shape[0] * layer.shape[1]);
}

const rowsAtOnce = 256;

function codeBytes(layer: PackedLayer, blocks: Blocks): Iterable<Uint8Array> {
  const { words, bits, shape } = layer;
  const rowBytes = (blocks.count * blocks.size * blocks.bits) / 8;
  // Both are streams of codes along the inputs, lowest bits first; ours begins each row with a whole word.
  const same = bits === blocks.bits && 4 * words.length === rowBytes * shape[0];
  return same ? [new Uint8Array(words.buffer, words.byteOffset, words.byteLength)] : codesAgain(layer, blocks.bits, rowBytes);
}

function* codesAgain(layer: PackedLayer, bits: number, rowBytes: number): Generator<Uint8Array> {
  const [out, n] = layer.shape;
  const shift = centreShift(layer, bits);
  for (let from = 0; from < out; from += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, out - from);
    const codes = codesOf(layer, from, from + rows);
    const bytes = new Uint8Array(rows * rowBytes);
    for (let row = 0; row < rows; row++) packRow(codes.subarray(row * n, (row + 1) * n), shift, bits, bytes, row * rowBytes);
    yield bytes;
  }
}

/** A symmetric grid has no zeros in the file: they are 2^(bits − 1), the centre of the codes there, so codes move by as much as their own centre does. */
const centreShift = ({ symmetric, bits }: PackedLayer, fileBits: number): number => (symmetric ? 2 ** (fileBits - 1) - 2 ** (bits - 1) : 0);

/** Packs values, lowest bits first, into `bytes` from `at` on. */
function packRow(values: Uint8Array, shift: number, bits: number, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < values.length; i++) {
    const bit = i * bits;
    bytes[at + (bit >> 3)] |= (values[i] + shift) << (bit & 7);
  }
}

/** Every block's own: those of its group. */
function perBlock<T extends Float32Array | Uint8Array>(values: T, out: number, count: number, spread: T): T {
  const groups = values.length / out;
  for (let i = 0; i < spread.length; i++) {
    const row = Math.floor(i / count);
    spread[i] = values[row * groups + Math.floor(((i - row * count) * groups) / count)];
  }
  return spread;
}

function scaleBytes({ scales, shape: [out] }: PackedLayer, count: number, float: "F32" | "F16"): Uint8Array {
  const spread = perBlock(scales, out, count, new Float32Array(out * count));
  return new Uint8Array(float === "F32" ? spread.buffer : toF16Words(spread).buffer);
}

function zeroBytes({ zeros, shape: [out] }: PackedLayer, { bits, count }: Blocks): Uint8Array {
  const spread = perBlock(zeros as Uint8Array, out, count, new Uint8Array(out * count));
  const rowBytes = Math.ceil((count * bits) / 8);
  const bytes = new Uint8Array(out * rowBytes);
  for (let row = 0; row < out; row++) packRow(spread.subarray(row * count, (row + 1) * count), 0, bits, bytes, row * rowBytes);
  return bytes;
}
