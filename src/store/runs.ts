/** Creates runs, finds them, and tells which of them are shown. */
import { needsHeldOut, type Recipe } from "../recipe/recipe";
import type { Run, State } from "./state";
import { type TextChoice, textKey } from "./texts";

export function newRun(of: Pick<Run, "id" | "number" | "slot" | "recipe" | "text" | "dragged">, blocks: number): Run {
  return {
    ...of,
    name: null,
    status: "running",
    totalBlocks: blocks,
    quantizedBlocks: of.recipe.blocks ?? blocks,
    blocks: [],
    layers: [],
    ms: null,
    streamMs: 0,
    peakGpuBytes: null,
    bytesOut: null,
    error: null,
    measured: [],
    scored: [],
    exported: null,
    held: false,
    hidden: false,
  };
}

/** A new run's number, and the first colour that no run in sight has. */
export function freePlace(state: State): Pick<Run, "number" | "slot"> {
  const taken = runsInSight(state);
  let slot = 0;
  while (taken.some((r) => r.slot === slot)) slot++;
  return { number: Math.max(0, ...state.runs.map((r) => r.number)) + 1, slot };
}

/** The runs that the table lists: all but the dragged ones, and of those the one that follows the slider. */
export function runsInSight({ runs, live }: Pick<State, "runs" | "live">): Run[] {
  return runs.filter((r) => !r.dragged || r.id === live.shown);
}

/** Equal for recipes that differ in `qep.alpha` alone, on the same text. */
export function familyKey(recipe: Recipe, text: TextChoice): string {
  return JSON.stringify({ ...recipe, qep: { ...recipe.qep, alpha: 0 } }) + textKey(text);
}

/** Finished runs that differ from the recipe panel in α alone, by rising α; for each α the latest run. */
export function finishedAlphas(state: Pick<State, "runs" | "recipe" | "calibration">): Run[] {
  const key = familyKey(state.recipe, state.calibration);
  const found = new Map<number, Run>();
  for (const run of state.runs) if (run.status === "done" && familyKey(run.recipe, run.text) === key) found.set(run.recipe.qep.alpha, run);
  return [...found.values()].sort((a, b) => a.recipe.qep.alpha - b.recipe.qep.alpha);
}

/** Equal for recipes that share one full-precision stream. */
export function streamKey(recipe: Recipe, text: TextChoice): string {
  const { windows, windowLength, seed } = recipe.calibration;
  const held = needsHeldOut(recipe) ? recipe.qep.heldOut : 0;
  return [windows ?? "all", windowLength, seed, held, recipe.rotation, textKey(text)].join(" ");
}
