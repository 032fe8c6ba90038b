import { QuantError } from "../errors";
import { packBits, unpackBits } from "../ops/bits";
import type { GridSpec, Ops, Tensor } from "../ops/ops";
import type { QuantizedLayer } from "./quantizer";

/** One quantized layer on the host: what every export format is made of. */
export interface StoredLayer {
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly spec: GridSpec;
  /** Codes as a dense LSB-first bit stream along the inputs, row after row without padding. */
  readonly codes: Uint8Array;
  /** [out, G], exact f16 values. */
  readonly scales: Float32Array;
  /** [out, G], 0…2^b − 1. */
  readonly zeros: Uint8Array;
}

/** The outcome of a run: its layers by name. Layers that are not here stay as they are in the checkpoint. */
export type QuantizedModel = ReadonlyMap<string, StoredLayer>;

/** Reads a layer back from the device. @throws QuantError `scale-overflow` naming the layer when a scale does not fit f16. */
export async function store(ops: Ops, name: string, layer: QuantizedLayer, spec: GridSpec): Promise<StoredLayer> {
  const [scales, zeros] = await ops.read([layer.grid.scales, layer.grid.zeros]);
  if (!scales.every(Number.isFinite))
    throw new QuantError("scale-overflow", name, "Its weights are too large for a scale in f16: use more bits, or check the checkpoint.");
  const codes = await ops.readUints(layer.codes);
  const [out, n] = layer.codes.shape;
  return {
    name,
    shape: [out, n],
    spec,
    codes: packBits(codes, spec.bits),
    scales: Float32Array.from(scales),
    zeros: Uint8Array.from(zeros),
  };
}

/** Codes of a stored layer, one a byte, [out, in]. */
export const codesOf = (layer: StoredLayer): Uint8Array => unpackBits(layer.codes, layer.spec.bits, layer.shape[0] * layer.shape[1]);

/** Ŵ = s·(code − z) on the device. */
export function restore(ops: Ops, layer: StoredLayer): Tensor {
  const [out] = layer.shape;
  const groups = layer.scales.length / out;
  const codes = ops.fromUints(codesOf(layer), layer.shape);
  const grid = { scales: ops.fromFloats(layer.scales, [out, groups]), zeros: ops.fromFloats(layer.zeros, [out, groups]) };
  const W = ops.decode(codes, grid);
  ops.free(codes, grid.scales, grid.zeros);
  return W;
}
