import type { Block } from "../model/forward";
import { layerName, normNames } from "../model/layers";
import type { Ops, Tensor } from "../ops/ops";
import { type QuantizedModel, restoreLayer } from "../quant/coded";
import { layerKinds } from "../recipe/recipe";

/** A block as a run left it: quantized layers, and the norms and biases that scales were folded into. Tensors that the run left unchanged are borrowed from `block`. */
export async function quantizedBlock(ops: Ops, block: Block, quantized: QuantizedModel): Promise<{ block: Block; free(): void }> {
  const made: Tensor[] = [];
  const own = (t: Tensor) => {
    made.push(t);
    return t;
  };
  const replacedOr = <T extends Tensor | undefined>(name: string, tensor: T): T => {
    const values = quantized.replaced.get(name);
    return (values ? own(ops.fromFloats(values, [values.length])) : tensor) as T;
  };
  const names = normNames(block.index);
  const weights = { ...block.weights };
  for (const kind of layerKinds) {
    const layer = await quantized.layer(layerName(block.index, kind));
    if (layer) weights[kind] = own(restoreLayer(ops, layer));
  }
  return {
    block: {
      index: block.index,
      norms: {
        ...block.norms,
        input: replacedOr(names.input, block.norms.input),
        postAttention: replacedOr(names.postAttention, block.norms.postAttention),
      },
      weights,
      biases: Object.fromEntries(layerKinds.map((kind) => [kind, replacedOr(`${layerName(block.index, kind)}.bias`, block.biases[kind])])),
    },
    free: () => ops.free(...made),
  };
}
