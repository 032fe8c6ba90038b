import type { TensorSpec } from "../io/writer";
import type { StoredLayer } from "../quant/stored";

export type LayerShape = Pick<StoredLayer, "name" | "shape" | "spec">;

/** What an export format makes of one quantized layer: the plug-in contract of this folder. */
export interface Format {
  /** The layer's tensors, known before any work. */
  tensors(layer: LayerShape): TensorSpec[];
  /** Their bytes, in the same order, each in pieces. */
  bytes(layer: StoredLayer): Generator<Uint8Array>[];
  /** config.json of the export, from the source's. */
  config(source: Record<string, unknown>): Record<string, unknown>;
}
