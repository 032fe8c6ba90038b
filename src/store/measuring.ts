/** Which measurements there are, and which the settings of the moment ask for. */
import type { EvaluationRequest } from "../worker/protocol";
import type { EvaluationSettings, Measured, Run, State } from "./state";
import { sourceOf, textKey, textLabel } from "./texts";

/** Key of a run's measurement on its own calibration windows, which other texts are compared with. */
export const onCalibration = "calibration";

/** Two runs measured under one key saw the same windows of the same text. */
export function measureKey({ text, windows }: EvaluationSettings, windowLength: number): string {
  return `${windows ?? "all"} × ${windowLength} ${textKey(text)}`;
}

export const measuredOn = (run: Run, key: string): Measured | null => run.measured.find((m) => m.key === key) ?? null;

/** What is to be measured for one run. */
export interface Measurement {
  run: Run;
  key: string;
}

/** Of the finished runs (one without blocks was of an architecture that cannot be run), what the settings ask for and is not measured yet. */
export function measurementsLeft(runs: readonly Run[], evaluation: EvaluationSettings): Measurement[] {
  return runs
    .filter((run) => run.status === "done" && run.held && run.blocks.length > 0)
    .flatMap((run) => {
      const key = measureKey(evaluation, run.recipe.calibration.windowLength);
      return (evaluation.calibrationToo ? [key, onCalibration] : [key]).map((k) => ({ run, key: k }));
    })
    .filter(({ run, key }) => !measuredOn(run, key));
}

/** A run's own windows are kept with it. @throws QuantError when the text is not there yet. */
export function requestOf({ run, key }: Measurement, { text, windows }: EvaluationSettings): EvaluationRequest {
  const { windowLength } = run.recipe.calibration;
  return key === onCalibration
    ? { runId: run.id, use: "calibration", text: { kind: "run", runId: run.id }, windowLength, windows: null }
    : { runId: run.id, use: "evaluation", text: sourceOf(text), windowLength, windows };
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

/** In the order of their first measurement, without the runs' own calibration windows. */
export function evaluatedTexts(runs: readonly Run[]): EvaluatedText[] {
  const found = new Map<string, EvaluatedText>();
  for (const { key, textLabel: label, evaluation } of runs.flatMap((run) => run.measured))
    if (key !== onCalibration && !found.has(key))
      found.set(key, { key, label, windows: evaluation.windows, windowLength: evaluation.tokens / evaluation.windows });
  return [...found.values()];
}

/** The open checkpoint is quantized already, and has not been measured with these settings. */
export function isModelMeasurable({ model, recipe, evaluation }: State): boolean {
  const key = measureKey(evaluation, recipe.calibration.windowLength);
  return model.summary !== null && model.summary.packing !== null && !model.measured.some((m) => m.key === key);
}
