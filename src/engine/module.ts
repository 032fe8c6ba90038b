import type { Block } from "../model/block";
import { addLayerBias, advance, type Geometry } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import type { Ops, Tensor } from "../ops/ops";

/**
 * The output of the module that a stage begins, for input x and these weights in place of the stage's: attention up to o_proj, the MLP up to
 * down_proj, or the layer itself; biases included, the residual left out. A new tensor [T, hidden].
 */
export function moduleOutput(ops: Ops, geometry: Geometry, block: Block, stage: Stage, x: Tensor, weights: readonly Tensor[]): Tensor {
  const outputs = weights.map((w) => ops.linear(x, w));
  if (stage.id === "o" || stage.id === "down") return addLayerBias(ops, block, stage.kinds[0], outputs[0]);
  const { x: mixed } = advance(ops, geometry, block, stage, x, outputs);
  const [last] = stages[stages.indexOf(stage) + 1].kinds;
  const y = addLayerBias(ops, block, last, ops.linear(mixed, block.weights[last]));
  ops.free(...outputs, mixed);
  return y;
}
