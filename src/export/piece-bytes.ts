import { QuantError } from "../errors";
import { toF16Words } from "../io/dtype";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/coded";
import type { Recipe } from "../recipe/recipe";
import { formats, type Piece } from "./layout";

const copyBytes = 8 * 2 ** 20;

/** A layer's tensor, packed now; or a tensor of the source as it stands there, a few megabytes at a time. */
export async function* pieceBytes(
  { spec, part, replaced, wide = false }: Piece,
  model: Checkpoint,
  quantized: QuantizedModel,
  recipe: Recipe,
): AsyncGenerator<Uint8Array> {
  if (part) {
    const layer = await quantized.layer(part.name);
    if (!layer) throw new QuantError("internal", `${part.name} was not quantized`, "Run it again.");
    yield* formats[recipe.format].bytes(layer, wide)[part.index];
    return;
  }
  if (replaced) {
    const values = quantized.replaced.get(spec.name)!;
    yield new Uint8Array(wide ? values.slice().buffer : toF16Words(values).buffer);
    return;
  }
  const { file, start, end } = model.shards.tensors.get(spec.name)!;
  // An empty tensor still has to be written once, or the writer would wait for it.
  if (start === end) yield new Uint8Array(0);
  for (let at = start; at < end; at += copyBytes) yield await file.read(at, Math.min(end, at + copyBytes));
}
