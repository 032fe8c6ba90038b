import { QuantError } from "../errors";
import { openShards } from "../io/shards";
import type { Source } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/stored";
import type { Recipe } from "../recipe/recipe";
import { formats, pieces } from "./layout";

/**
 * Reads a written checkpoint back with the strict reader and compares: every tensor with its dtype and shape, every quantized layer
 * byte for byte with what the run measured.
 * @throws QuantError `verify-failed` naming the tensor.
 */
export async function verifyCheckpoint(written: Source, model: Checkpoint, quantized: QuantizedModel, recipe: Recipe): Promise<void> {
  const shards = await openShards(written);
  const list = pieces(model, recipe, quantized.replaced);
  for (const { spec } of list) {
    const tensor = shards.tensors.get(spec.name);
    if (!tensor || tensor.dtype !== spec.dtype || tensor.shape.join() !== spec.shape.join())
      throw failed(spec.name, "is missing or has another shape");
  }
  if (shards.tensors.size !== list.length) throw failed(written.label, `holds ${shards.tensors.size} tensors instead of ${list.length}`);
  for (const { spec, part } of list)
    if (part)
      await compare(shards.readTensor(spec.name), formats[recipe.format].bytes(quantized.layers.get(part.name)!)[part.index], spec.name);
}

async function compare(written: Promise<Uint8Array>, expected: Generator<Uint8Array>, name: string): Promise<void> {
  const bytes = await written;
  let at = 0;
  for (const part of expected) {
    if (part.some((byte, i) => bytes[at + i] !== byte)) throw failed(name, "does not read back as it was written");
    at += part.length;
  }
  if (at !== bytes.length) throw failed(name, `has ${bytes.length} bytes instead of ${at}`);
}

const failed = (where: string, detail: string) =>
  new QuantError("verify-failed", `${where} ${detail}`, "Export again, to another disk if it happens twice.");
