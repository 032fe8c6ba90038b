import type { Calibration } from "../model/calibration";
import { layerShape, type Stage, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { byMethod, type LayerPlan, type RunPlan, stageLayers } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { MethodId } from "../recipe/recipe";

/** What a stage of a run must compute for its layers. */
export interface StageNeeds {
  H: boolean;
  C: boolean;
  /** At least one layer is corrected. */
  corrected: boolean;
}

/** The number of rows of each layer of a stage, by method. */
const stageMethods = (layers: readonly LayerPlan[]): { method: MethodId; rows: number[] }[] =>
  [...byMethod(layers)].map(([method, mine]) => ({ method, rows: mine.map(({ shape }) => shape[0]) }));

/** What the plans of one stage's layers need. */
export function stageNeeds(layers: readonly LayerPlan[]): StageNeeds {
  const corrected = layers.some(({ alpha, choice }) => alpha > 0 || choice === "best");
  const needs = layers.map(({ method }) => quantizers[method].needs);
  return { H: corrected || needs.some((n) => n.H), C: corrected || needs.some((n) => n.C), corrected };
}

/** Floating-point operations (2 per multiply-add) of one stream through one stage: its linear layers, and attention after q, k, v. */
export function forwardWork(spec: ModelSpec, stage: Stage, tokens: number, length: number): number {
  const linear = stage.kinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0] * layerShape(spec, kind)[1], 0);
  const attention = stage.id === "qkv" ? 2 * length * spec.heads * spec.headDim : 0;
  return tokens * (2 * linear + attention);
}

/** The same for all stages of a block. */
export const blockWork = (spec: ModelSpec, tokens: number, length: number): number =>
  stages.reduce((sum, stage) => sum + forwardWork(spec, stage, tokens, length), 0);

/** What a run processes: calibration tokens, held-out tokens, and the length of a window. */
export interface Load {
  tokens: number;
  heldTokens: number;
  length: number;
}

/**
 * Floating-point operations of one stage's statistics, correction and rounding. Of H and the drift only a triangle is computed. The correction is one
 * factor and, per layer, W·C, two products with that triangle and the error at α = 0. Held-out windows have the same statistics, and three products per layer.
 */
export function quantizeWork(layers: readonly LayerPlan[], { tokens, heldTokens }: Load): number {
  const needs = stageNeeds(layers);
  const n = layers[0].shape[1];
  const all = layers.reduce((sum, { shape }) => sum + shape[0], 0);
  const statistics = (needs.H ? tokens * n * n : 0) + (needs.C ? 3 * tokens * n * n : 0);
  const correction = needs.corrected ? (2 * n ** 3) / 3 + 6 * all * n * n : 0;
  const choice = needs.corrected && heldTokens ? 4 * heldTokens * n * n + 6 * all * n * n : 0;
  const methods = stageMethods(layers).map(({ method, rows }) => quantizers[method].cost(rows, n, tokens).work);
  return statistics + correction + choice + methods.reduce((a, b) => a + b, 0);
}

/** The work of a whole run, which is the total of its progress. @param replay the full-precision stream is read from a recording, not computed. */
export function runWork(spec: ModelSpec, plan: RunPlan, load: Load, replay: boolean): number {
  let total = spec.blocks * blockWork(spec, load.tokens + load.heldTokens, load.length) * (replay ? 1 : 2);
  for (let m = 0; m < plan.quantizedBlocks; m++) for (const stage of stages) total += quantizeWork(stageLayers(plan, m, stage), load);
  return total;
}

/** The token counts of a calibration. */
export const loadOf = ({ tokens, heldOut }: Calibration): Load => ({
  tokens: tokens.ids.length,
  heldTokens: heldOut?.ids.length ?? 0,
  length: tokens.length,
});
