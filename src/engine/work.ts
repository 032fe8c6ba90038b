import { layerName, layerShape, type Stage, stageInputs, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { quantizers } from "../quant/registry";
import { alphaOf, type Recipe } from "../recipe/recipe";

/** What a stage of a run must compute, as decided by its recipe. */
export interface StageNeeds {
  H: boolean;
  C: boolean;
  /** At least one layer is corrected. */
  corrected: boolean;
}

export function stageNeeds(recipe: Recipe, block: number, stage: Stage): StageNeeds {
  const { needs } = quantizers[recipe.method];
  const corrected = stage.kinds.some((kind) => alphaOf(recipe, layerName(block, kind), kind) > 0);
  return { H: needs.H || corrected, C: needs.C || corrected, corrected };
}

/** Floating-point operations (2 per multiply-add) of one stream through one stage: its linear layers, and attention after q, k, v. */
export function forwardWork(spec: ModelSpec, stage: Stage, tokens: number, length: number): number {
  const linear = stage.kinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0] * layerShape(spec, kind)[1], 0);
  const attention = stage.id === "qkv" ? 2 * length * spec.heads * spec.headDim : 0;
  return tokens * (2 * linear + attention);
}

/** Statistics, correction and rounding of one stage. H and the drift are triangles; the correction is one factorisation, and W·C, two solves and the
 * error of α = 0 a layer. */
export function quantizeWork(spec: ModelSpec, recipe: Recipe, stage: Stage, tokens: number, needs: StageNeeds): number {
  const n = stageInputs(spec, stage);
  const rows = stage.kinds.map((kind) => layerShape(spec, kind)[0]);
  const all = rows.reduce((a, b) => a + b, 0);
  const statistics = (needs.H ? tokens * n * n : 0) + (needs.C ? 3 * tokens * n * n : 0);
  const correction = needs.corrected ? n ** 3 / 3 + 6 * all * n * n : 0;
  return statistics + correction + quantizers[recipe.method].cost(rows, n, tokens).work;
}

/** Work of a whole run; `kept`: the full-precision stream is there already. The total of a run's progress. */
export function runWork(spec: ModelSpec, recipe: Recipe, tokens: number, length: number, kept: boolean): number {
  let total = 0;
  for (let m = 0; m < spec.blocks; m++)
    for (const stage of stages) {
      total += forwardWork(spec, stage, tokens, length) * (kept ? 1 : 2);
      if (m < quantizedBlocks(spec, recipe)) total += quantizeWork(spec, recipe, stage, tokens, stageNeeds(recipe, m, stage));
    }
  return total;
}

export const quantizedBlocks = (spec: ModelSpec, recipe: Recipe): number => Math.min(recipe.blocks ?? spec.blocks, spec.blocks);
