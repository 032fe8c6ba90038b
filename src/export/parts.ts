import { QuantError } from "../errors";
import type { Checkpoint } from "../model/checkpoint";
import type { Coded, QuantizedModel } from "../quant/coded";
import type { Parts } from "./formats/format";

const copyBytes = 8 * 2 ** 20;

/** The parts of an export. A layer is kept until another one is asked for. */
export function partsOf(model: Checkpoint, quantized: QuantizedModel): Parts {
  let current: { name: string; layer: Promise<Coded | null> } | null = null;
  return {
    async layer(name) {
      if (current?.name !== name) current = { name, layer: quantized.layer(name) };
      const layer = await current.layer;
      if (!layer) throw new QuantError("internal", `${name} was not quantized`, "Run it again.");
      return layer;
    },
    folded: (name) => quantized.replaced.get(name)!,
    async *copy(name, unit = 1) {
      const { file, start, end } = model.shards.tensors.get(name)!;
      // An empty tensor still has to be written once, or the writer would wait for it.
      if (start === end) yield new Uint8Array(0);
      const step = Math.max(1, Math.floor(copyBytes / unit)) * unit;
      for (let at = start; at < end; at += step) yield await file.read(at, Math.min(end, at + step));
    },
  };
}
