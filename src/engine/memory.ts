import { layerShape, type Stage, stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { type ActivationBudget, defaultBudget } from "../ops/activations";
import { type FactorSettings, factorElements, sameSettings } from "../quant/factor";
import { byMethod, type LayerPlan, type RunPlan, stageLayers } from "../quant/layer-plan";
import { correctionSettings } from "../quant/qep";
import { quantizers } from "../quant/registry";
import type { MethodId } from "../recipe/recipe";
import { stageNeeds } from "./work";

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const rows = (spec: ModelSpec, stage: Stage) => stage.kinds.map((kind) => layerShape(spec, kind)[0]);
const weights = (spec: ModelSpec, stage: Stage) => stage.kinds.map((kind) => layerShape(spec, kind)[0] * layerShape(spec, kind)[1]);

/** Elements that a recording holds per token and stage: its input and its layers' outputs. */
const recordedAt = (spec: ModelSpec, stage: Stage) => stageInputs(spec, stage) + sum(rows(spec, stage));

/** Bytes of a recording: every stage's input and outputs, every block's residual stream and the embeddings. */
export function recordingBytes(spec: ModelSpec, tokens: number): number {
  const perBlock = sum(stages.map((stage) => recordedAt(spec, stage))) + spec.hidden;
  return 4 * tokens * (spec.blocks * perBlock + spec.hidden);
}

/**
 * Peak bytes of a run on the device, in f32: what is there throughout a stage (one block's weights; the streams, or the recording up to that stage, as far
 * as the budget lets them stay), and the largest of the stage's phases: correcting, rounding, propagating. Follows block.ts, in the last block.
 * @param tokens of both streams, held-out ones included. @param chunk tokens of the largest chunk.
 */
export function peakBytes(
  spec: ModelSpec,
  plan: RunPlan,
  tokens: number,
  chunk: number,
  recorded: boolean,
  budget: ActivationBudget = defaultBudget,
): number {
  const blockWeights = sum(stages.flatMap((stage) => weights(spec, stage)));
  // Without rules, all blocks are alike.
  const blocks = plan.recipe.rules.length ? Array.from({ length: plan.quantizedBlocks }, (_, m) => m) : [0];
  const phases = stages.map((stage, s) => {
    // A quantized (and an unrecorded full-precision) stream holds its input and its residual, which is new after block 0.
    const stream = tokens * (stageInputs(spec, stage) + spec.hidden);
    const later = sum(stages.slice(s + 1).map((next) => recordedAt(spec, next))) + spec.hidden;
    const midway = stage.id === "gate_up" || stage.id === "down" ? spec.hidden : 0;
    const full = recorded
      ? Math.min(recordingBytes(spec, tokens), budget.kept) / 4 + tokens * (midway - later)
      : stream + tokens * spec.hidden;
    // What finds no room in the budget leaves the device, except the chunk that is in use.
    const activations = Math.min(stream + full, budget.device / 4 + chunk * (stageInputs(spec, stage) + spec.hidden));
    return (
      activations + Math.max(...blocks.map((m) => stagePeak(spec, stageLayers(plan, m, stage), stage, chunk, recorded, plan.holdsOut)))
    );
  });
  return 4 * (blockWeights + Math.max(...phases));
}

/** Elements of the largest phase of one stage, beside streams and weights. */
function stagePeak(
  spec: ModelSpec,
  layers: readonly LayerPlan[],
  stage: Stage,
  chunk: number,
  recorded: boolean,
  holdsOut: boolean,
): number {
  const n = stageInputs(spec, stage);
  const all = sum(weights(spec, stage));
  const largest = Math.max(...weights(spec, stage));
  // Recorded outputs of the full-precision stream are in the recording already.
  const propagating = all + chunk * ((recorded ? 1 : 2) * sum(rows(spec, stage)) + nextWidth(spec, stage));
  const needs = stageNeeds(layers);
  // With C comes the drift, (X − Xq)ᵀ(X − Xq).
  const statistics = (needs.H ? n * n : 0) + (needs.C ? 2 * n * n : 0);
  const settings = needs.corrected ? correctionSettings(layers) : null;
  const factor = settings ? n * n : 0;
  // W* and rest of all layers; while the last one is made, its live W and D too.
  const corrected = settings ? 2 * all : 0;
  const choosing = holdsOut ? 3 * n * n + largest : 0;
  const correcting = statistics + (settings ? Math.max(factorElements(n), factor + corrected + 2 * largest + choosing) : 0);
  // As each layer is taken to the host, its Ŵ takes the place of its codes.
  const elements = Math.max(...[...byMethod(layers)].map(([method, mine]) => methodElements(method, mine, chunk, settings)));
  const rounding = statistics + factor + corrected + Math.max(elements, all + largest);
  return Math.max(correcting, rounding, propagating);
}

/** Elements that a method holds at once besides W*, H, C and QEP's factor. */
function methodElements(method: MethodId, layers: readonly LayerPlan[], chunk: number, made: FactorSettings | null): number {
  const { cost, factor } = quantizers[method];
  const [{ shape, options }] = layers;
  const n = shape[1];
  const { elements } = cost(
    layers.map((layer) => layer.shape[0]),
    n,
    chunk,
  );
  const wanted = factor?.(options);
  if (!wanted || (made && sameSettings(made, wanted))) return elements;
  return Math.max(factorElements(n), n * n + elements);
}

/** Columns of what a stage's `advance` makes besides the outputs: rotated q and k and the mixed heads, or the next input. */
function nextWidth(spec: ModelSpec, stage: Stage): number {
  if (stage.id === "qkv") return (2 * spec.heads + spec.kvHeads) * spec.headDim;
  return stage.id === "gate_up" ? spec.intermediate : 2 * spec.hidden;
}
