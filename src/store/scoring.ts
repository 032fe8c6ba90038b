/** Zero-shot tasks: which questions the person chose, and scoring runs on them. */
import type { StoreApi } from "zustand/vanilla";
import { QuantError } from "../errors";
import type { TaskSource } from "../worker/protocol";
import type { Caller } from "./calling";
import type { Say } from "./log";
import { isQuantized } from "./measuring";
import { runsInSight } from "./runs";
import type { Run, State, TaskSettings } from "./state";

export interface Scoring {
  /** Scores every finished run, or the open checkpoint if it is quantized already, that has not answered these questions yet. */
  score(): Promise<void>;
}

/** Key of a score: two scores under the same key are of the same questions. */
export function tasksKey({ kind, file, limit }: TaskSettings): string {
  return `${limit ?? "all"} ${kind === "demo" ? "demo" : `file:${file?.name}:${file?.size}:${file?.lastModified}`}`;
}

const tasksLabel = ({ kind, file }: TaskSettings): string => (kind === "demo" ? "the demo’s tasks" : (file?.name ?? "no file"));

/** Whether a run can be scored on the questions of this key and has not been. (A run without blocks is of an architecture that cannot be run.) */
export function isScorable(run: Run, key: string): boolean {
  return run.status === "done" && run.held && run.blocks.length > 0 && !run.scored.some((s) => s.key === key);
}

/** Whether the open checkpoint itself is to be scored: it is quantized already, and has not answered these questions yet. */
export function isModelScorable({ model, tasks }: State): boolean {
  return isQuantized({ model }) && !model.scored.some((s) => s.key === tasksKey(tasks));
}

/** @throws QuantError when no file is chosen yet. */
function taskSource({ kind, file }: TaskSettings): TaskSource {
  if (kind === "demo") return { kind };
  if (!file) throw new QuantError("missing-file", "no question file is chosen yet", "Choose a .jsonl, .csv or .parquet file.");
  return { kind, file };
}

export function createScoring(store: StoreApi<State>, { job, call, changeRun }: Caller, say: Say, now: () => number): Scoring {
  const get = store.getState;

  async function scoreModel(settings: TaskSettings) {
    await job({ kind: "score", runId: "" }, async () => {
      const started = now();
      const request = { runId: null, tasks: taskSource(settings), limit: settings.limit };
      const result = await call("", (c, listen) => c.call("scoreTasks", request, listen));
      const scored = { key: tasksKey(settings), label: tasksLabel(settings), result };
      store.setState((s) => ({ model: { ...s.model, scored: [...s.model.scored, scored] } }));
      return { kind: "scored", runs: 0, ms: now() - started };
    });
  }

  return {
    async score() {
      const state = get();
      const settings = state.tasks;
      if (state.job) return;
      if (isModelScorable(state)) return scoreModel(settings);
      const [key, label] = [tasksKey(settings), tasksLabel(settings)];
      const targets = runsInSight(state).filter((r) => isScorable(r, key));
      if (!targets.length) return;
      const started = now();
      await job({ kind: "score", runId: targets[0].id, parts: targets.length }, async () => {
        const tasks = taskSource(settings);
        for (const [i, run] of targets.entries()) {
          store.setState((s) => ({ job: s.job && { ...s.job, runId: run.id, part: i + 1 } }));
          const request = { runId: run.id, tasks, limit: settings.limit };
          const result = await call(run.id, (c, listen) => c.call("scoreTasks", request, listen));
          changeRun(run.id, (r) => ({ ...r, scored: [...r.scored, { key, label, result }] }));
          const all = result.changes!.at(-1)!;
          const percent = (x: number) => (100 * x).toFixed(1);
          say(
            "info",
            `Accuracy on ${label}: ${percent(all.accuracy.before)} → ${percent(all.accuracy.after)} % of ${all.questions}.`,
            run.number,
          );
        }
        return { kind: "scored", runs: targets.length, ms: now() - started };
      });
    },
  };
}
