/** The one line that says what is happening, and the window's title. */

import { tokenizing } from "../results/events";
import { secondsLeft } from "../store/inbox";
import { nextStep } from "../store/next";
import type { Job, JobOutcome, State } from "../store/state";
import { bytes, duration, roughly, runTitle } from "./format";
import { strings } from "./strings";

const say = strings.status;

export interface Status {
  text: string;
  tone: "idle" | "busy" | "done" | "bad";
  /** A screen reader speaks only when this changes: at most every 10 %. */
  spokenKey: string;
}

export function statusOf(state: State): Status {
  const { gpu, job, model, plan, outcome } = state;
  if (job) return jobStatus(state, job);
  if (model.opening !== null) return line(strings.open.opening(model.opening), "busy");
  if (gpu.status === "starting") return line(say.starting, "busy");
  if (gpu.error && gpu.status === "dead" && outcome.kind !== "exported") return line(gpu.error.message, "bad");
  if (outcome.kind === "failed") return line(outcome.error.message, "bad");
  if (gpu.error && gpu.status === "missing" && outcome.kind !== "checked") return line(gpu.error.message, "bad");
  if (plan.error) return line(plan.error.message, "bad");
  if (outcome.kind === "checked") return line(outcomeText(outcome, state), outcome.passed ? "done" : "bad");
  if (outcome.kind !== "none")
    return line(outcomeText(outcome, state), ["opened", "cancelled", "notice"].includes(outcome.kind) ? "idle" : "done");
  if (model.summary?.packing) return line(say.packed, "idle");
  return line(nextStep(state) === "open" ? say.open : say.ready, "idle");
}

export function pageTitle(state: State): string {
  const { job, outcome } = state;
  if (job) return [`${Math.floor(job.fraction * 100)} %`, timeLeft(job), strings.name].filter(Boolean).join(" · ");
  if (outcome.kind === "failed") return `Stopped · ${strings.name}`;
  return ["ran", "measured", "compared", "scored", "exported", "checked"].includes(outcome.kind) ? `Done · ${strings.name}` : strings.name;
}

function line(text: string, tone: Status["tone"]): Status {
  return { text, tone, spokenKey: text };
}

function jobStatus(state: State, job: Job): Status {
  if (job.cancelling) return line(say.cancelling, "busy");
  if (job.fraction === 0 && job.where.startsWith(tokenizing)) return { text: job.where, tone: "busy", spokenKey: "tokenizing" };
  const what = { run: runText, measure: measureText, score: scoreText, export: () => say.exporting, check: () => say.checking }[job.kind](
    state,
    job,
  );
  // What comes before the first step is not counted, but may tell its own share.
  const percent = job.fraction === 0 && job.where ? "" : `${Math.floor(job.fraction * 100)} %`;
  const text = [what, percent, timeLeft(job)].filter(Boolean).join(" · ");
  return { text, tone: "busy", spokenKey: `${job.kind} ${job.runId} ${job.startedAt} ${Math.floor(job.fraction * 10)}` };
}

function timeLeft(job: Job): string {
  const left = secondsLeft(job);
  return left === null || job.fraction >= 1 ? "" : say.left(roughly(left));
}

function runText(state: State, job: Job): string {
  const run = state.runs.find((r) => r.id === job.runId);
  if (!run || job.fraction === 0) return say.preparing(job.where);
  const m = run.blocks.length + 1;
  if (m > run.totalBlocks) return say.finishing;
  if (job.live) return say.rerunning(run.recipe.qep.alpha, m, run.totalBlocks);
  return m > run.quantizedBlocks ? say.following(m, run.totalBlocks) : say.quantizing(m, run.totalBlocks);
}

function measureText(state: State, job: Job): string {
  const run = state.runs.find((r) => r.id === job.runId);
  return run ? say.measuring(run.number, job.part, job.parts) : say.measuringModel;
}

function scoreText(state: State, job: Job): string {
  const run = state.runs.find((r) => r.id === job.runId);
  return run ? say.scoring(run.number, job.part, job.parts) : say.scoringModel;
}

function outcomeText(outcome: Exclude<JobOutcome, { kind: "none" | "failed" }>, state: State): string {
  switch (outcome.kind) {
    case "opened":
      return state.model.summary?.packing ? say.openedPacked(outcome.label) : say.opened(outcome.label);
    case "ran": {
      const run = state.runs.find((r) => r.id === outcome.runId);
      return say.ran(run ? runTitle(run) : "", duration(outcome.ms / 1000));
    }
    case "measured":
      return say.measured(outcome.runs, duration(outcome.ms / 1000));
    case "compared":
      return say.compared(outcome.original, duration(outcome.ms / 1000));
    case "scored":
      return say.scored(outcome.runs, duration(outcome.ms / 1000));
    case "exported":
      return say.exported(outcome.name, outcome.files, bytes(outcome.bytes), outcome.zip);
    case "checked":
      return say.checked(outcome.label, outcome.passed);
    case "recalled": {
      const run = state.runs.find((r) => r.id === outcome.runId);
      return say.recalled(run ? runTitle(run) : "");
    }
    case "notice":
      return outcome.message;
    case "cancelled":
      return say.cancelled[outcome.what];
  }
}
