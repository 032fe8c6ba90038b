import type { Block } from "../model/forward";
import { layerName, normNames, type Stage } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Tensor } from "../ops/ops";
import { divideRows } from "../quant/stored";
import type { LayerKind } from "../recipe/recipe";
import type { BlockJob } from "./job";

/** Under grouped queries a row of v feeds several inputs of o, so that no scale of o's inputs can go into v. */
export const isFoldable = (spec: ModelSpec, stage: Stage): boolean => stage.id !== "o" || spec.heads === spec.kvHeads;

/** A stage was quantized for inputs x/s: its stream is divided, and 1/s goes into the operation before, so that the exported model computes the same. */
export async function foldBefore(job: BlockJob, block: Block, stage: Stage, s: Float64Array): Promise<void> {
  const scale = job.ops.fromFloats(s, [s.length]);
  for (let c = 0; c < job.quantized.chunks; c++) job.quantized.divideInputs(c, scale);
  job.ops.free(scale);
  const names = normNames(block.index);
  if (stage.id === "qkv") await replace(job, names.input, block.norms.input, s);
  else if (stage.id === "gate_up") await replace(job, names.postAttention, block.norms.postAttention, s);
  else await foldIntoRows(job, block, stage.id === "o" ? "v_proj" : "up_proj", s);
}

async function foldIntoRows(job: BlockJob, block: Block, kind: LayerKind, s: Float64Array): Promise<void> {
  const name = layerName(block.index, kind);
  job.layers.set(name, divideRows(job.layers.get(name)!, s));
  const bias = block.biases[kind];
  if (bias) await replace(job, `${name}.bias`, bias, s);
}

async function replace({ ops, replaced }: BlockJob, name: string, tensor: Tensor, s: Float64Array): Promise<void> {
  const [values] = await ops.read([tensor]);
  replaced.set(
    name,
    Float32Array.from(values, (x, i) => x / s[i]),
  );
}
