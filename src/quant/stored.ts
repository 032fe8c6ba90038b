import { QuantError } from "../errors";
import type { GridSpec, Ops } from "../ops/ops";
import type { PackedMatrix } from "../ops/packed";
import type { QuantizedLayer } from "./quantizer";

/** One quantized layer of a run, on the host; its scales are exact f16 values. */
export interface StoredLayer extends PackedMatrix {
  readonly name: string;
  readonly symmetric: boolean;
}

/** The outcome of a run: its layers by name. Layers that are not here stay as they are in the checkpoint. */
export type QuantizedModel = ReadonlyMap<string, StoredLayer>;

/** Packs a layer on the device and reads it back. @throws QuantError `scale-overflow` naming the layer when a scale does not fit f16. */
export async function store(ops: Ops, name: string, layer: QuantizedLayer, { bits, symmetric }: GridSpec): Promise<StoredLayer> {
  const packed = ops.pack(layer.codes, bits);
  const [scales, zeros] = await ops.read([layer.grid.scales, layer.grid.zeros]);
  const words = await ops.readUints(packed);
  ops.free(packed);
  if (!scales.every(Number.isFinite))
    throw new QuantError("scale-overflow", name, "Its weights are too large for a scale in f16: use more bits, or check the checkpoint.");
  const [out, n] = layer.codes.shape;
  return { name, symmetric, shape: [out, n], bits, words, scales: Float32Array.from(scales), zeros: Uint8Array.from(zeros) };
}
