import type { Ops, Tensor } from "../ops/ops";
import { restore } from "../ops/packed";
import type { LayerKind } from "../recipe/recipe";
import { loadTensor, type Model } from "./checkpoint";
import { layerName, layerShape, normNames, type Stage, stages } from "./layers";
import { readPacked } from "./packed";
import { ropeTables } from "./rope";
import type { ModelSpec } from "./spec";

/** One block's tensors on the device. */
export interface Block {
  readonly index: number;
  readonly norms: { input: Tensor; postAttention: Tensor; q?: Tensor; k?: Tensor };
  readonly weights: Readonly<Record<LayerKind, Tensor>>;
  readonly biases: Readonly<Partial<Record<LayerKind, Tensor>>>;
}

/** What every block's attention shares: the shape, the rotary tables and the window length. */
export interface Geometry {
  readonly spec: ModelSpec;
  readonly length: number;
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** The residual stream of one chunk of windows inside a block: h [T, hidden] and the next linear layers' input x. */
export interface StreamPoint {
  h: Tensor;
  x: Tensor;
}

/** Names of the tensors that `loadBlock` reads where the checkpoint's layers are not packed. */
export function blockTensors({ biases, qkNorm }: ModelSpec, index: number): string[] {
  const { input, postAttention, q, k } = normNames(index);
  const norms = qkNorm ? [input, postAttention, q, k] : [input, postAttention];
  const layers = stages.flatMap((stage) => stage.kinds.map((kind) => ({ kind, name: layerName(index, kind) })));
  return [
    ...norms,
    ...layers.map(({ name }) => `${name}.weight`),
    ...layers.filter(({ kind }) => biases.has(kind)).map(({ name }) => `${name}.bias`),
  ];
}

/** Loads one block's tensors to the device. The caller frees them with `freeBlock`. */
export async function loadBlock(ops: Ops, model: Model, index: number): Promise<Block> {
  const names = normNames(index);
  const norms: Block["norms"] = {
    input: await loadTensor(ops, model, names.input),
    postAttention: await loadTensor(ops, model, names.postAttention),
  };
  if (model.spec.qkNorm) {
    norms.q = await loadTensor(ops, model, names.q);
    norms.k = await loadTensor(ops, model, names.k);
  }
  const weights = {} as Record<LayerKind, Tensor>;
  const biases: Partial<Record<LayerKind, Tensor>> = {};
  for (const kind of stages.flatMap((s) => s.kinds)) {
    const name = layerName(index, kind);
    weights[kind] = await loadLayer(ops, model, name, kind);
    if (model.spec.biases.has(kind)) biases[kind] = await loadTensor(ops, model, `${name}.bias`);
  }
  return { index, norms, weights, biases };
}

/** A layer's weights as floats; a packed one is unpacked on the device. */
async function loadLayer(ops: Ops, model: Model, name: string, kind: LayerKind): Promise<Tensor> {
  const { spec, shards } = model;
  if (!spec.packing || shards.tensors.has(`${name}.weight`)) return loadTensor(ops, model, `${name}.weight`);
  return restore(ops, await readPacked(shards, name, layerShape(spec, kind), spec.packing));
}

export function freeBlock(ops: Ops, block: Block): void {
  ops.free(...Object.values(block.norms), ...Object.values(block.weights), ...Object.values(block.biases));
}

/** The geometry of windows of `length` tokens. Its tables, cos and sin [length, headDim/2], are freed at the end of the job that made them. */
export function createGeometry(ops: Ops, spec: ModelSpec, length: number): Geometry {
  const { cos, sin, half } = ropeTables(spec, length);
  return { spec, length, cos: ops.fromFloats(cos, [length, half]), sin: ops.fromFloats(sin, [length, half]) };
}

/** The first stage's input x: RMSNorm(h). */
export function enterBlock(ops: Ops, geometry: Geometry, block: Block, h: Tensor): Tensor {
  return ops.rmsNorm(h, block.norms.input, geometry.spec.eps);
}

/** The outputs x·Wᵀ [T, out] of the stage's linear layers, without bias. */
export function stageOutputs(ops: Ops, stage: Stage, weights: Readonly<Record<LayerKind, Tensor>>, x: Tensor): Tensor[] {
  return stage.kinds.map((kind) => ops.linear(x, weights[kind]));
}

/**
 * From a stage's outputs to the next stage's input; after `down`, h is the block's output and x is the same tensor. The arguments are not freed. A stage
 * that does not change the residual stream returns the h it was given; all else it returns is new.
 */
export function advance(ops: Ops, geometry: Geometry, block: Block, stage: Stage, h: Tensor, outputs: readonly Tensor[]): StreamPoint {
  const { value: biased, temporaries } = withBiases(ops, block, stage, outputs);
  const next = advanceBiased(ops, geometry, block, stage, h, biased);
  ops.free(...temporaries);
  return next;
}

function advanceBiased(ops: Ops, geometry: Geometry, block: Block, stage: Stage, h: Tensor, y: readonly Tensor[]): StreamPoint {
  switch (stage.id) {
    case "qkv":
      return { h, x: mix(ops, geometry, block, y[0], y[1], y[2]) };
    case "o": {
      const sum = ops.add(h, y[0]);
      return { h: sum, x: ops.rmsNorm(sum, block.norms.postAttention, geometry.spec.eps) };
    }
    case "gate_up":
      return { h, x: ops.swiglu(y[0], y[1]) };
    case "down": {
      const sum = ops.add(h, y[0]);
      return { h: sum, x: sum };
    }
  }
}

function withBiases(ops: Ops, block: Block, stage: Stage, outputs: readonly Tensor[]): { value: Tensor[]; temporaries: Tensor[] } {
  const temporaries: Tensor[] = [];
  const value = outputs.map((y, i) => {
    const bias = block.biases[stage.kinds[i]];
    if (!bias) return y;
    const sum = ops.addBias(y, bias);
    temporaries.push(sum);
    return sum;
  });
  return { value, temporaries };
}

/** Adds the layer's bias to y, which it takes over: returns y where there is no bias, else frees y and returns a new tensor. */
export function addLayerBias(ops: Ops, block: Block, kind: LayerKind, y: Tensor): Tensor {
  const bias = block.biases[kind];
  if (!bias) return y;
  const sum = ops.addBias(y, bias);
  ops.free(y);
  return sum;
}

/** Rotary embedding (after the heads' norms, where the family has them) and causal attention: the input of o_proj. */
function mix(ops: Ops, { spec, length, cos, sin }: Geometry, { index, norms }: Block, q: Tensor, k: Tensor, v: Tensor): Tensor {
  const { heads, kvHeads, headDim } = spec;
  const slidingWindow = spec.slidingWindows[index];
  const nq = norms.q ? ops.rmsNorm(q, norms.q, spec.eps) : q;
  const nk = norms.k ? ops.rmsNorm(k, norms.k, spec.eps) : k;
  const rq = ops.rope(nq, cos, sin, { headDim, length });
  const rk = ops.rope(nk, cos, sin, { headDim, length });
  const mixed = ops.attention(rq, rk, v, { heads, kvHeads, headDim, length, slidingWindow });
  ops.free(rq, rk, ...(nq === q ? [] : [nq]), ...(nk === k ? [] : [nk]));
  return mixed;
}
