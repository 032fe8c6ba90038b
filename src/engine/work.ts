import type { Calibration } from "../model/calibration";
import { layerName, layerShape, type Stage, stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { quantizers } from "../quant/registry";
import { type MethodId, needsHeldOut, type Recipe } from "../recipe/recipe";
import { settingsOf } from "../recipe/rules";

/** What a stage of a run must compute, as decided by its recipe. */
export interface StageNeeds {
  H: boolean;
  C: boolean;
  /** At least one layer is corrected. */
  corrected: boolean;
}

/** Layers by the method that the recipe gives them, in order of first use. */
export function byMethod<L extends { readonly name: string }>(recipe: Recipe, layers: readonly L[]): Map<MethodId, L[]> {
  const groups = new Map<MethodId, L[]>();
  for (const layer of layers) {
    const { method } = settingsOf(recipe, layer.name);
    groups.set(method, [...(groups.get(method) ?? []), layer]);
  }
  return groups;
}

/** A stage's layers by method, with their rows. */
export function stageMethods(spec: ModelSpec, recipe: Recipe, block: number, stage: Stage): { method: MethodId; rows: number[] }[] {
  const layers = stage.kinds.map((kind) => ({ name: layerName(block, kind), rows: layerShape(spec, kind)[0] }));
  return [...byMethod(recipe, layers)].map(([method, mine]) => ({ method, rows: mine.map((l) => l.rows) }));
}

export function stageNeeds(recipe: Recipe, block: number, stage: Stage): StageNeeds {
  const settings = stage.kinds.map((kind) => settingsOf(recipe, layerName(block, kind)));
  const best = recipe.qep.choice === "best";
  const corrected = settings.some((s) => s.alpha > 0 || (best && !s.alphaFixed));
  const needs = settings.map((s) => quantizers[s.method].needs);
  return { H: corrected || needs.some((n) => n.H), C: corrected || needs.some((n) => n.C), corrected };
}

/** Floating-point operations (2 per multiply-add) of one stream through one stage: its linear layers, and attention after q, k, v. */
export function forwardWork(spec: ModelSpec, stage: Stage, tokens: number, length: number): number {
  const linear = stage.kinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0] * layerShape(spec, kind)[1], 0);
  const attention = stage.id === "qkv" ? 2 * length * spec.heads * spec.headDim : 0;
  return tokens * (2 * linear + attention);
}

/** What a run goes over: calibration tokens, those held out, and a window's length. */
export interface Load {
  tokens: number;
  heldTokens: number;
  length: number;
}

/** Statistics, correction and rounding of one stage. H and the drift are triangles; the correction is one factorisation, and W·C, two solves and the
 * error of α = 0 a layer; held-out windows have the same statistics, and two more products a layer. */
export function quantizeWork(spec: ModelSpec, recipe: Recipe, block: number, stage: Stage, { tokens, heldTokens }: Load): number {
  const needs = stageNeeds(recipe, block, stage);
  const n = stageInputs(spec, stage);
  const all = stage.kinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0], 0);
  const statistics = (needs.H ? tokens * n * n : 0) + (needs.C ? 3 * tokens * n * n : 0);
  const correction = needs.corrected ? n ** 3 / 3 + 6 * all * n * n : 0;
  const choice = needs.corrected && needsHeldOut(recipe) ? 4 * heldTokens * n * n + 6 * all * n * n : 0;
  const methods = stageMethods(spec, recipe, block, stage).map(({ method, rows }) => quantizers[method].cost(rows, n, tokens).work);
  return statistics + correction + choice + methods.reduce((a, b) => a + b, 0);
}

/** Work of a whole run; `kept`: the full-precision stream is there already. The total of a run's progress. */
export function runWork(spec: ModelSpec, recipe: Recipe, load: Load, kept: boolean): number {
  let total = 0;
  for (let m = 0; m < spec.blocks; m++)
    for (const stage of stages) {
      total += forwardWork(spec, stage, load.tokens + load.heldTokens, load.length) * (kept ? 1 : 2);
      if (m < quantizedBlocks(spec, recipe)) total += quantizeWork(spec, recipe, m, stage, load);
    }
  return total;
}

export const loadOf = ({ tokens, heldOut }: Calibration): Load => ({
  tokens: tokens.ids.length,
  heldTokens: heldOut?.ids.length ?? 0,
  length: tokens.length,
});

export const quantizedBlocks = (spec: ModelSpec, recipe: Recipe): number => Math.min(recipe.blocks ?? spec.blocks, spec.blocks);
