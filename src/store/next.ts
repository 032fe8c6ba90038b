/** The one next step to suggest at any moment, and what can be started. */
import { isBase } from "../recipe/recipe";
import { partnerOf } from "./compare";
import { isModelMeasurable, measurementsLeft } from "./measuring";
import { runsInSight } from "./runs";
import type { Run, State } from "./state";

/** What the page suggests to do next. */
export type Step = "wait" | "reference" | "restart" | "open" | "mend-recipe" | "run" | "baseline" | "measure" | "export" | "nothing";

export function nextStep(state: State): Step {
  const { gpu, model, plan, job } = state;
  if (gpu.status === "dead") return "restart";
  if (gpu.status === "missing") return "reference";
  if (gpu.status === "starting" || job || model.opening !== null) return "wait";
  if (!model.summary) return "open";
  if (model.summary.packing !== null) return isModelMeasurable(state) ? "measure" : "nothing";
  if (plan.error) return "mend-recipe";
  const run = selectedRun(state);
  if (run?.status !== "done" || !run.held) return "run";
  if (missingPartner(state)) return "baseline";
  if (measurementsLeft(runsInSight(state), state.evaluation).length) return "measure";
  return state.runs.some((r) => r.exported) ? "nothing" : "export";
}

export function selectedRun(state: Pick<State, "runs" | "selected">): Run | null {
  return state.runs.find((r) => r.id === state.selected) ?? null;
}

/** False where the open checkpoint can only be rounded to nearest. */
export const isRunnable = ({ model }: Pick<State, "model">): boolean => model.summary === null || model.summary.shape !== null;

/** Nothing new can start: a job is running, a model is being opened, or there is no device. */
export function isBusy(state: State): boolean {
  return state.job !== null || state.model.opening !== null || state.gpu.status !== "ready";
}

/** Files can be checked: that takes a worker, but no GPU. */
export const canCheck = ({ job, model, gpu }: Pick<State, "job" | "model" | "gpu">): boolean =>
  job === null && model.opening === null && (gpu.status === "ready" || gpu.status === "missing");

/** A finished run can be exported: that takes a worker, which may have lost its GPU. */
export function canExport(state: State): boolean {
  const { gpu, job, model } = state;
  const isThere = gpu.status === "ready" || (gpu.status === "dead" && gpu.error?.code === "device-lost");
  return isThere && job === null && model.opening === null && selectedRun(state)?.status === "done" && selectedRun(state)?.held === true;
}

/** Which run of a pair is missing beside the selected one and can be added; null: none. */
export function missingPartner(state: Pick<State, "runs" | "selected" | "model">): "base" | "qep" | null {
  const run = selectedRun(state);
  if (run?.status !== "done" || partnerOf(state.runs, run) || !isRunnable(state)) return null;
  return isBase(run.recipe) ? "qep" : "base";
}
