/** Measure and export: one at a time, cancellable, each ending in an outcome. Running is in quantizing.ts. */
import type { StoreApi } from "zustand/vanilla";
import { isBase } from "../recipe/recipe";
import { sameTopText, withError } from "../results/divergence";
import { extentText } from "../results/measures";
import type { EvaluationRequest, ExportSummary, ExportTarget, Given } from "../worker/protocol";
import type { Caller } from "./calling";
import { partnerRecipe } from "./compare";
import type { Say } from "./log";
import { evaluatedLength, isModelMeasurable, labelOf, measureKey, measurementsLeft, requestOf } from "./measuring";
import type { Quantizing } from "./quantizing";
import { runsInSight } from "./runs";
import type { State } from "./state";
import { sourceOf, textLabel } from "./texts";

export interface Jobs {
  /** Runs the recipe as it stands. */
  run(): Promise<void>;
  /** Runs the selected run's recipe without QEP (`base`), or with it. The selection stays where it was. */
  addPartner(kind: "base" | "qep"): Promise<void>;
  /** Measures every finished run, or the open checkpoint if it is quantized already, that has not been measured with these settings. */
  measure(): Promise<void>;
  /** Measures the open checkpoint beside the one that it was made of. */
  measureAgainst(original: Given): Promise<void>;
  /** Exports the selected run; null if nothing was exported. */
  exportRun(target: ExportTarget): Promise<ExportSummary | null>;
}

export function createJobs(store: StoreApi<State>, caller: Caller, quantizing: Quantizing, say: Say, now: () => number): Jobs {
  const get = store.getState;
  const { call, changeRun, job } = caller;

  /** What measures the open checkpoint itself. @throws QuantError where no text is chosen yet. */
  function requestOfModel(): { request: EvaluationRequest; key: string; label: string } {
    const { evaluation, recipe } = get();
    const { text, windows } = evaluation;
    const windowLength = evaluatedLength(text, recipe);
    return {
      request: { runId: "", use: "evaluation", text: sourceOf(text), windowLength, windows },
      key: measureKey(evaluation, recipe),
      label: textLabel(text, "evaluation"),
    };
  }

  async function measureModel(): Promise<void> {
    if (get().job) return;
    const started = now();
    await job({ kind: "measure", runId: "" }, async () => {
      const { request, key, label } = requestOfModel();
      const result = await call("", (c, listen) => c.call("measureModel", request, listen));
      const measured = { key, textLabel: label, result };
      store.setState((s) => ({ model: { ...s.model, measured: [...s.model.measured, measured] } }));
      say("info", `Perplexity of the checkpoint on ${label}, ${extentText(result)}: ${result.perplexity.toFixed(3)}.`);
      return { kind: "measured", runs: 0, ms: now() - started };
    });
  }

  return {
    run: () => quantizing.run(get().recipe, get().calibration),

    async addPartner(kind) {
      const run = get().runs.find((r) => r.id === get().selected);
      if (run && isBase(run.recipe) === (kind === "qep"))
        await quantizing.run(partnerRecipe(run.recipe, get().recipe), run.text, kind === "base");
    },

    async measure() {
      const state = get();
      if (isModelMeasurable(state)) return measureModel();
      const targets = measurementsLeft(runsInSight(state), state.evaluation);
      if (state.job || !targets.length) return;
      const started = now();
      await job({ kind: "measure", runId: targets[0].run.id, parts: targets.length }, async () => {
        for (const [i, target] of targets.entries()) {
          const { run, key } = target;
          store.setState((s) => ({ job: s.job && { ...s.job, runId: run.id, part: i + 1 } }));
          const request = requestOf(target, state.evaluation);
          const evaluation = await call(run.id, (c, listen) => c.call("measure", request, listen));
          const label = labelOf(target, state.evaluation);
          changeRun(run.id, (r) => ({ ...r, measured: [...r.measured, { key, ...label, evaluation }] }));
          const { perplexityBefore, perplexity, divergence } = evaluation;
          const beside = `KL divergence ${withError(divergence.kl)}, same top token ${sameTopText(divergence)}`;
          say(
            "info",
            `Perplexity on ${label.textLabel}, ${extentText(evaluation)}: ${perplexityBefore.toFixed(3)} → ${perplexity.toFixed(3)}. ${beside}.`,
            run.number,
          );
        }
        return { kind: "measured", runs: new Set(targets.map((t) => t.run.id)).size, ms: now() - started };
      });
    },

    async measureAgainst(original) {
      if (get().job || !get().model.summary) return;
      const started = now();
      await job({ kind: "measure", runId: "" }, async () => {
        const { request, label } = requestOfModel();
        const result = await call("", (c, listen) => c.call("measureAgainst", request, original, listen));
        const compared = { original: original.label, textLabel: label, result };
        store.setState((s) => ({ model: { ...s.model, compared: [...s.model.compared, compared] } }));
        const { perplexityBefore, perplexity, divergence } = result;
        say(
          "info",
          `Beside ${original.label} on ${label}, ${extentText(result)}: perplexity ${perplexityBefore.toFixed(3)} → ${perplexity.toFixed(3)}, KL divergence ${withError(divergence.kl)}.`,
        );
        return { kind: "compared", original: original.label, ms: now() - started };
      });
    },

    async exportRun(target) {
      const run = get().runs.find((r) => r.id === get().selected);
      if (get().job || !run?.held) return null;
      let summary: ExportSummary | null = null;
      await job({ kind: "export", runId: run.id }, async () => {
        const written = await call(run.id, (c, listen) => c.call("exportRun", run.id, target, listen));
        summary = written;
        changeRun(run.id, (r) => ({ ...r, exported: { name: target.name, summary: written } }));
        say("info", `Exported ${written.files.length} files to ${target.name}.`, run.number);
        return { kind: "exported", name: target.name, files: written.files.length, bytes: written.bytes, zip: target.kind === "zip" };
      });
      return summary;
    },
  };
}
