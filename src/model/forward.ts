import type { Ops, Tensor } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";
import type { Block } from "./block";
import type { Stage } from "./layers";
import { ropeTables } from "./rope";
import type { ModelSpec } from "./spec";

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
