/** Run, measure, export: one at a time, cancellable, each ending in an outcome. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError, QuantError } from "../errors";
import { isBase, type Recipe } from "../recipe/recipe";
import type { Client } from "../worker/client";
import type { ExportSummary, ExportTarget, RunEvent } from "../worker/protocol";
import { partnerRecipe } from "./compare";
import { applyToJob, applyToRun, createInbox } from "./inbox";
import { isMeasurable, isModelMeasurable, measureKey } from "./measuring";
import type { Planner } from "./planning";
import type { Session } from "./session";
import type { Job, Outcome, Run, State } from "./state";
import { sourceOf, type TextChoice, textLabel } from "./texts";

export interface Jobs {
  /** Runs the recipe as it stands. */
  run(): Promise<void>;
  /** Runs the selected run's recipe without QEP (`base`), or with it. The selection stays where it was. */
  addPartner(kind: "base" | "qep"): Promise<void>;
  /** Measures every finished run, or the open checkpoint if it is quantized already, that has not been measured with these settings. */
  measure(): Promise<void>;
  /** Exports the selected run; null when it did not come to that. */
  exportRun(target: ExportTarget): Promise<ExportSummary | null>;
  cancel(): void;
}

type Listen = (event: RunEvent) => void;
type Work<T> = (client: Client, listen: Listen) => Promise<T>;

export function createJobs(store: StoreApi<State>, session: Session, planner: Planner, now: () => number): Jobs {
  let runsMade = 0;
  const get = store.getState;
  const changeRun = (id: string, change: (run: Run) => Run) =>
    store.setState((s) => ({ runs: s.runs.map((r) => (r.id === id ? change(r) : r)) }));

  /** One call of the worker with its events. Part of a job. */
  async function call<T>(runId: string, work: Work<T>): Promise<T> {
    const inbox = createInbox((events) => {
      const { job } = get();
      if (job) store.setState({ job: applyToJob(job, events, now()) });
      if (job?.kind === "run" && events.length) changeRun(runId, (r) => applyToRun(r, events));
    });
    try {
      return await session.queue(async (client) => {
        if (get().job?.cancelling) throw new QuantError("cancelled");
        return work(client, inbox.push);
      });
    } finally {
      inbox.close();
    }
  }

  /** Sets the job up and down around `work`, which gives the outcome. */
  async function job(kind: Job["kind"], runId: string, parts: number, work: () => Promise<Outcome>): Promise<void> {
    const startedAt = now();
    store.setState({
      job: {
        kind,
        runId,
        fraction: 0,
        where: "",
        startedAt,
        now: startedAt,
        expectedSeconds: null,
        cancelling: false,
        part: 1,
        parts,
      },
      outcome: { kind: "none" },
    });
    let outcome: Outcome;
    try {
      outcome = await work();
    } catch (cause) {
      const error = asQuantError(cause).flat();
      outcome = error.code === "cancelled" ? { kind: "cancelled", what: kind } : { kind: "failed", error };
    }
    store.setState({ job: null, outcome });
    planner.refresh();
  }

  async function quantize(recipe: Recipe, text: TextChoice, keepSelection: boolean): Promise<void> {
    const { job: busy, model, selected, runs } = get();
    if (busy || !model.summary || model.summary.packing !== null) return;
    const run = newRun(++runsMade, freeSlot(runs), recipe, text, model.summary.blocks);
    store.setState({ runs: [...runs, run], selected: run.id });
    await job("run", run.id, 1, async () => {
      try {
        const source = sourceOf(text);
        const { blocks, layers, ms } = await call(run.id, async (c, listen) => {
          const { seconds, streamKept } = await c.call("plan", recipe, source);
          changeRun(run.id, (r) => ({ ...r, streamKept }));
          store.setState((s) => ({ job: s.job && { ...s.job, expectedSeconds: seconds } }));
          if (get().job?.cancelling) throw new QuantError("cancelled");
          return c.call("run", { id: run.id, recipe, calibration: source }, listen);
        });
        changeRun(run.id, (r) => ({ ...r, status: "done", held: true, blocks, layers, ms }));
        if (keepSelection && selected) store.setState({ selected });
        return { kind: "ran", runId: run.id, ms };
      } catch (cause) {
        const error = asQuantError(cause).flat();
        changeRun(run.id, (r) => ({ ...r, status: error.code === "cancelled" ? "cancelled" : "failed", error }));
        throw cause;
      }
    });
  }

  async function measureModel(): Promise<void> {
    const state = get();
    if (state.job) return;
    const { text, windows } = state.evaluation;
    const started = now();
    await job("measure", "", 1, async () => {
      const request = { runId: "", text: sourceOf(text), windowLength: state.recipe.calibration.windowLength, windows };
      const result = await call("", (c, listen) => c.call("measureModel", request, listen));
      const measured = { key: measureKey(state), textLabel: textLabel(text), result };
      store.setState((s) => ({ model: { ...s.model, measured } }));
      return { kind: "measured", runs: 0, ms: now() - started };
    });
  }

  return {
    run: () => quantize(get().recipe, get().calibration, false),

    async addPartner(kind) {
      const run = get().runs.find((r) => r.id === get().selected);
      if (run && isBase(run.recipe) === (kind === "qep"))
        await quantize(partnerRecipe(run.recipe, get().recipe), run.text, kind === "base");
    },

    async measure() {
      const state = get();
      if (isModelMeasurable(state)) return measureModel();
      const key = measureKey(state);
      const targets = state.runs.filter((r) => isMeasurable(r, key));
      if (state.job || !targets.length) return;
      const { text, windows } = state.evaluation;
      const started = now();
      await job("measure", targets[0].id, targets.length, async () => {
        const source = sourceOf(text);
        for (const [i, run] of targets.entries()) {
          store.setState((s) => ({ job: s.job && { ...s.job, runId: run.id, part: i + 1 } }));
          const request = { runId: run.id, text: source, windowLength: run.recipe.calibration.windowLength, windows };
          const evaluation = await call(run.id, (c, listen) => c.call("measure", request, listen));
          changeRun(run.id, (r) => ({ ...r, measured: { key, textLabel: textLabel(text), evaluation } }));
        }
        return { kind: "measured", runs: targets.length, ms: now() - started };
      });
    },

    async exportRun(target) {
      const run = get().runs.find((r) => r.id === get().selected);
      if (get().job || !run?.held) return null;
      let summary: ExportSummary | null = null;
      await job("export", run.id, 1, async () => {
        const written = await call(run.id, (c, listen) => c.call("exportRun", run.id, target, listen));
        summary = written;
        changeRun(run.id, (r) => ({ ...r, exported: { name: target.name, summary: written } }));
        return { kind: "exported", name: target.name, files: written.files.length, bytes: written.bytes, zip: target.kind === "zip" };
      });
      return summary;
    },

    cancel() {
      if (!get().job || get().job?.cancelling) return;
      store.setState((s) => ({ job: s.job && { ...s.job, cancelling: true } }));
      session.directly((c) => c.call("cancel"));
    },
  };
}

function newRun(number: number, slot: number, recipe: Recipe, text: TextChoice, blocks: number): Run {
  return {
    id: `run-${number}`,
    number,
    slot,
    recipe,
    text,
    status: "running",
    totalBlocks: blocks,
    quantizedBlocks: recipe.blocks ?? blocks,
    blocks: [],
    layers: [],
    notes: [],
    ms: null,
    streamKept: false,
    error: null,
    measured: null,
    exported: null,
    held: false,
  };
}

/** The least colour that no run has, so that colours stay apart after some were removed. */
function freeSlot(runs: Run[]): number {
  let slot = 0;
  while (runs.some((r) => r.slot === slot)) slot++;
  return slot;
}
