/** Which perplexity measurements there are, and which the current settings ask for. */
import type { Recipe } from "../recipe/recipe";
import type { EvaluationRequest } from "../worker/protocol";
import type { EvaluationSettings, Measured, Run, State } from "./state";
import { sourceOf, type TextChoice, textKey, textLabel } from "./texts";

/** Key of every run's measurement on its own calibration windows. */
export const onCalibration = "calibration";

/** Tokens in each window of the demo's evaluation text. */
const demoLength = 128;

/**
 * Tokens in each window of an evaluation text: as in calibration, but never more than `demoLength` of the demo's. What was run on the demo and is opened again, where
 * recipes begin with longer windows, is then measured on the same ones.
 */
export const evaluatedLength = ({ kind }: TextChoice, { calibration }: Recipe): number =>
  kind === "demo" ? Math.min(demoLength, calibration.windowLength) : calibration.windowLength;

/** Key of a measurement: two runs measured under the same key saw the same windows of the same text. */
export function measureKey({ text, windows }: EvaluationSettings, recipe: Recipe): string {
  return `${windows ?? "all"} × ${evaluatedLength(text, recipe)} ${textKey(text)}`;
}

export const measuredOn = (run: Run, key: string): Measured | null => run.measured.find((m) => m.key === key) ?? null;

/** What is to be measured for one run. */
export interface Measurement {
  run: Run;
  key: string;
}

/** The measurements of finished runs that the settings ask for and that are not there yet. (A run without blocks is of an architecture that cannot be run.) */
export function measurementsLeft(runs: readonly Run[], evaluation: EvaluationSettings): Measurement[] {
  return runs
    .filter((run) => run.status === "done" && run.held && run.blocks.length > 0)
    .flatMap((run) => {
      const key = measureKey(evaluation, run.recipe);
      return (evaluation.calibrationToo ? [key, onCalibration] : [key]).map((k) => ({ run, key: k }));
    })
    .filter(({ run, key }) => !measuredOn(run, key));
}

/** The call to the worker that makes a measurement. A run's own windows are kept with it. @throws QuantError when no text is chosen yet. */
export function requestOf({ run, key }: Measurement, { text, windows }: EvaluationSettings): EvaluationRequest {
  const { windowLength } = run.recipe.calibration;
  return key === onCalibration
    ? { runId: run.id, use: "calibration", text: { kind: "run", runId: run.id }, windowLength, windows: null }
    : { runId: run.id, use: "evaluation", text: sourceOf(text), windowLength: evaluatedLength(text, run.recipe), windows };
}

export function labelOf({ run, key }: Measurement, { text }: EvaluationSettings): Pick<Measured, "textLabel" | "own"> {
  if (key === onCalibration) return { textLabel: textLabel(run.text, "calibration"), own: true };
  return { textLabel: textLabel(text, "evaluation"), own: text.kind !== "demo" && textKey(text) === textKey(run.text) };
}

/** A text that runs were measured on, as a column of the table. */
export interface EvaluatedText {
  key: string;
  label: string;
  windows: number;
  windowLength: number;
}

/** The texts that runs were measured on, in the order of their first measurement, without the runs' own calibration windows. */
export function evaluatedTexts(runs: readonly Run[]): EvaluatedText[] {
  const found = new Map<string, EvaluatedText>();
  for (const { key, textLabel: label, evaluation } of runs.flatMap((run) => run.measured))
    if (key !== onCalibration && !found.has(key))
      found.set(key, { key, label, windows: evaluation.windows, windowLength: evaluation.tokens / evaluation.windows });
  return [...found.values()];
}

/** Whether the open checkpoint is quantized already: it can be measured, not run. */
export const isQuantized = ({ model }: Pick<State, "model">): boolean => model.summary !== null && model.summary.packing !== null;

/** Whether the open checkpoint itself is to be measured: it is quantized already, and has not been measured with these settings. */
export function isModelMeasurable({ model, recipe, evaluation }: State): boolean {
  const key = measureKey(evaluation, recipe);
  return isQuantized({ model }) && !model.measured.some((m) => m.key === key);
}
