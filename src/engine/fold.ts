import type { Block } from "../model/block";
import { layerName, normNames, type Stage } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Tensor } from "../ops/ops";
import { type Coded, divideRows } from "../quant/coded";
import type { LayerKind } from "../recipe/recipe";
import type { BlockJob } from "./job";

/** The tensors made for a block so far, by name. */
export interface UnfinishedBlock {
  readonly layers: Map<string, Coded>;
  readonly replaced: Map<string, Float32Array>;
}

/** Under grouped queries a row of v feeds several inputs of o, so that no scale of o's inputs can go into v. */
export const isFoldable = (spec: ModelSpec, stage: Stage): boolean => stage.id !== "o" || spec.heads === spec.kvHeads;

/** A stage was quantized for inputs x/s: its stream is divided, and 1/s goes into the operation before, so that the exported model computes the same. */
export async function foldBefore(job: BlockJob, block: Block, stage: Stage, s: Float64Array, made: UnfinishedBlock): Promise<void> {
  const { ops } = job.activations;
  const scale = ops.fromFloats(s, [s.length]);
  for (let c = 0; c < job.quantized.chunks; c++) await job.quantized.divideInputs(c, scale);
  ops.free(scale);
  const divide = async (name: string, tensor: Tensor) => {
    const [values] = await ops.read([tensor]);
    made.replaced.set(
      name,
      Float32Array.from(values, (x, i) => x / s[i]),
    );
  };
  const names = normNames(block.index);
  if (stage.id === "qkv") return divide(names.input, block.norms.input);
  if (stage.id === "gate_up") return divide(names.postAttention, block.norms.postAttention);
  const kind: LayerKind = stage.id === "o" ? "v_proj" : "up_proj";
  const name = layerName(block.index, kind);
  const { grid } = job.plan.layers.find((layer) => layer.name === name)!;
  made.layers.set(name, divideRows(made.layers.get(name)!, s, grid));
  const bias = block.biases[kind];
  if (bias) await divide(`${name}.bias`, bias);
}
