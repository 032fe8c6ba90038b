import type { LoadedBlock } from "../model/block";
import { layerName, normNames } from "../model/layers";
import type { Ops } from "../ops/ops";
import { type QuantizedModel, restoreLayer } from "../quant/coded";
import { layerKinds } from "../recipe/recipe";

/**
 * Makes a block what a run left of it: quantized layers, and the norms and biases that scales were folded into. What was there before is freed, one layer at a
 * time, so that it is never there twice.
 */
export async function becomeQuantized(ops: Ops, block: LoadedBlock, quantized: QuantizedModel): Promise<void> {
  const names = normNames(block.index);
  const replacedAs = (name: string) => {
    const values = quantized.replaced.get(name);
    return values ? ops.fromFloats(values, [values.length]) : null;
  };
  for (const kind of layerKinds) {
    const layer = await quantized.layer(layerName(block.index, kind));
    if (layer) block.setWeight(kind, () => restoreLayer(ops, layer));
    const bias = replacedAs(`${layerName(block.index, kind)}.bias`);
    if (bias) block.setBias(kind, bias);
  }
  for (const which of ["input", "postAttention"] as const) {
    const norm = replacedAs(names[which]);
    if (norm) block.setNorm(which, norm);
  }
}
