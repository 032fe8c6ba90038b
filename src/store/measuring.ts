/** Which measurements belong to the settings of the moment. */
import type { Run, State } from "./state";
import { textKey } from "./texts";

/** Two runs measured under one key saw the same windows of the same text. */
export function measureKey(state: Pick<State, "evaluation">): string {
  const { text, windows } = state.evaluation;
  return `${windows ?? "all"} ${textKey(text)}`;
}

/** The open checkpoint is quantized already, and has not been measured with these settings. */
export function isModelMeasurable({ model, evaluation }: State): boolean {
  return model.summary !== null && model.summary.packing !== null && model.measured?.key !== measureKey({ evaluation });
}

/** A run without blocks was of an architecture that cannot be run. */
export function isMeasurable(run: Run, key: string): boolean {
  return run.status === "done" && run.held && run.blocks.length > 0 && run.measured?.key !== key;
}
