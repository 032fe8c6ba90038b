import type { Block } from "../model/block";
import type { Geometry } from "../model/forward";
import { layerShape } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import type { Activations } from "../ops/activations";
import type { Ops } from "../ops/ops";
import { type LayerKind, layerKinds } from "../recipe/recipe";
import { Stream } from "./stream";
import { blockWork } from "./work";

/** Limits on the sizes of the trial's block, so that it takes only a moment on any adapter. */
const widest = 512;
const trialTokens = 512;

/** Milliseconds per unit of work, measured by taking a few windows through one block of zeros. A finished run gives a better figure. */
export async function measureRate(activations: Activations, model: ModelSpec, length: number): Promise<number> {
  const spec = {
    ...model,
    hidden: Math.min(model.hidden, widest),
    intermediate: Math.min(model.intermediate, widest),
    heads: 4,
    kvHeads: 4,
    headDim: 16,
  };
  const window = Math.min(length, trialTokens);
  const tokens = window * Math.max(1, Math.floor(trialTokens / window));
  const { ops } = activations;
  return activations.job(async () => {
    const geometry: Geometry = { spec, length: window, cos: ops.zeros([window, 8]), sin: ops.zeros([window, 8]) };
    const block = zeroBlock(ops, spec);
    const h = await activations.hold(ops.zeros([tokens, spec.hidden]));
    const once = async () => {
      const started = performance.now();
      const stream = new Stream(activations, [{ h, geometry }]);
      await stream.pass(0, block);
      await ops.flush();
      stream.end();
      return performance.now() - started;
    };
    // The first pass compiles kernels.
    await once();
    return (await once()) / blockWork(spec, tokens, window);
  });
}

function zeroBlock(ops: Ops, spec: ModelSpec): Block {
  const weights = Object.fromEntries(layerKinds.map((kind) => [kind, ops.zeros(layerShape(spec, kind))])) as Record<
    LayerKind,
    ReturnType<Ops["zeros"]>
  >;
  return { index: 0, norms: { input: ops.zeros([spec.hidden]), postAttention: ops.zeros([spec.hidden]) }, weights, biases: {} };
}
