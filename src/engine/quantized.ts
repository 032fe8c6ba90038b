import type { Block } from "../model/forward";
import { layerName, normNames } from "../model/layers";
import type { Ops, Tensor } from "../ops/ops";
import { type QuantizedModel, restoreLayer } from "../quant/stored";
import { type LayerKind, layerKinds } from "../recipe/recipe";

/** A block as a run left it: quantized layers, and the norms and biases that scales were folded into. What is the checkpoint's own is borrowed. */
export function quantizedBlock(ops: Ops, block: Block, { layers, replaced }: QuantizedModel): { block: Block; free(): void } {
  const made: Tensor[] = [];
  const own = (t: Tensor) => {
    made.push(t);
    return t;
  };
  const replacedOr = <T extends Tensor | undefined>(name: string, tensor: T): T => {
    const values = replaced.get(name);
    return (values ? own(ops.fromFloats(values, [values.length])) : tensor) as T;
  };
  const each = <T>(value: (kind: LayerKind, name: string) => T) =>
    Object.fromEntries(layerKinds.map((kind) => [kind, value(kind, layerName(block.index, kind))])) as Record<LayerKind, T>;
  const names = normNames(block.index);
  return {
    block: {
      index: block.index,
      norms: {
        ...block.norms,
        input: replacedOr(names.input, block.norms.input),
        postAttention: replacedOr(names.postAttention, block.norms.postAttention),
      },
      weights: each((kind, name) => {
        const layer = layers.get(name);
        return layer ? own(restoreLayer(ops, layer)) : block.weights[kind];
      }),
      biases: each((kind, name) => replacedOr(`${name}.bias`, block.biases[kind])),
    },
    free: () => ops.free(...made),
  };
}
