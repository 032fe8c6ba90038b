import type { Calibration } from "../model/calibration";
import { layerShape, type Stage, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { byMethod, type LayerPlan, type RunPlan, stageLayers } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import { driftWork } from "./drift";
import { factorsWanted, stageNeeds } from "./needs";

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
 * Floating-point operations of one stage's statistics, correction and rounding. Of H only a triangle is computed. The correction is W·C and two products with
 * the factor's triangle per layer; a factor counts half more than it computes, as its blocks are narrower than a product's. Held-out windows have two more
 * outputs per layer.
 */
export function quantizeWork(layers: readonly LayerPlan[], { tokens, heldTokens }: Load): number {
  const needs = stageNeeds(layers);
  const n = layers[0].shape[1];
  const all = layers.reduce((sum, { shape }) => sum + shape[0], 0);
  const statistics = (needs.H ? tokens * n * n : 0) + (needs.C ? 2 * tokens * n * n + driftWork(all, n, tokens) : 0);
  const factors = factorsWanted(layers).length * n ** 3;
  const correction = needs.corrected ? 4 * all * n * n + 4 * heldTokens * all * n : 0;
  const methods = [...byMethod(layers)].map(([method, mine]) => {
    const rows = mine.map(({ shape }) => shape[0]);
    return quantizers[method].cost(rows, n, tokens).work;
  });
  return statistics + factors + correction + methods.reduce((a, b) => a + b, 0);
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
