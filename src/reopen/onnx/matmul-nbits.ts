/** MatMulNBits' tensors as matrices; their layout is described in src/export/onnx/matmul-nbits.ts. */
import type { PlacedTensor, ReadNode } from "../../export/onnx/proto";
import { isFloat, toFloats } from "../../io/dtype";
import type { SourceFile } from "../../io/types";
import type { Unpacked } from "../rows";

/** The file that a graph names, if it is there. */
export type Open = (place: { file: string }) => SourceFile | undefined;

interface Layer {
  readonly n: number;
  readonly bits: number;
  readonly size: number;
  readonly codes: PlacedTensor;
  readonly scales: PlacedTensor;
  readonly zeros: PlacedTensor | undefined;
}

/** Every MatMulNBits whose tensors lie beside the graph, by the name of its codes. */
export function bitsMatrices(nodes: Iterable<ReadNode>, tensors: readonly PlacedTensor[], open: Open): Unpacked[] {
  const byName = new Map(tensors.map((tensor) => [tensor.spec.name, tensor]));
  const matrices: Unpacked[] = [];
  for (const { type, inputs, ints } of nodes) {
    const [codes, scales, zeros] = inputs.slice(1).map((name) => byName.get(name));
    if (type !== "MatMulNBits" || !codes || !scales || !isFloat(scales.spec.dtype)) continue;
    const [n, out, bits, size] = ["K", "N", "bits", "block_size"].map((name) => ints.get(name) ?? 0);
    const count = Math.ceil(n / size);
    if (codes.bytes !== (out * count * size * bits) / 8 || scales.spec.shape.reduce((a, b) => a * b, 1) !== out * count) continue;
    matrices.push(matrixOf({ n, bits, size, codes, scales, zeros }, out, open));
  }
  return matrices;
}

function matrixOf(layer: Layer, out: number, open: Open): Unpacked {
  const { n, bits, size, codes } = layer;
  return {
    name: codes.spec.name.replace(/\.[^.]*$/, ""),
    shape: [out, n],
    stored: `${bits}-bit, blocks of ${size}`,
    rows: async (from, to) => decode(layer, await partsOf(layer, out, open, from, to), to - from),
  };
}

interface Parts {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Uint8Array | null;
}

async function partsOf({ codes, scales, zeros }: Layer, out: number, open: Open, from: number, to: number): Promise<Parts> {
  const rows = async (tensor: PlacedTensor) => {
    const row = tensor.bytes / out;
    return open(tensor)!.read(tensor.offset + from * row, tensor.offset + to * row);
  };
  return {
    codes: await rows(codes),
    scales: toFloats(await rows(scales), scales.spec.dtype),
    zeros: zeros ? await rows(zeros) : null,
  };
}

/** s·(code − z); without zeros z is the centre of the codes. */
function decode({ n, bits, size }: Layer, { codes, scales, zeros }: Parts, rows: number): Float32Array {
  const count = Math.ceil(n / size);
  const mask = 2 ** bits - 1;
  const at = (bytes: Uint8Array, first: number, i: number) => (bytes[first + ((i * bits) >> 3)] >> ((i * bits) & 7)) & mask;
  const values = new Float32Array(rows * n);
  const [codeBytes, zeroBytes] = [codes.length / rows, (zeros?.length ?? 0) / rows];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < n; c++) {
      const g = Math.floor(c / size);
      const zero = zeros ? at(zeros, r * zeroBytes, g) : 2 ** (bits - 1);
      values[r * n + c] = scales[r * count + g] * (at(codes, r * codeBytes, c) - zero);
    }
  return values;
}
