/** The page's state and all that a person can do to it. Knows the worker only through `Client`. */
import { createStore, type StoreApi } from "zustand/vanilla";
import { changeRecipe } from "../recipe/access";
import type { DestinationId } from "../recipe/destinations";
import type { Recipe, RecipeChange } from "../recipe/recipe";
import { suited } from "../recipe/suiting";
import { inputWidths } from "../results/model";
import type { Client } from "../worker/client";
import { createCaller } from "./calling";
import { type Checking, createChecking } from "./checking";
import { watchLayer } from "./inspecting";
import { createJobs, type Jobs } from "./jobs";
import { createLive, type Live } from "./live";
import { createLog } from "./log";
import { createOpening, type Opening, possibleFor } from "./opening";
import { createPlanner } from "./planning";
import { pollLiveBytes } from "./polling";
import { createQuantizing } from "./quantizing";
import { createResuming, type Resuming } from "./resuming";
import { createScoring, type Scoring } from "./scoring";
import { createSession } from "./session";
import { type EvaluationSettings, initialState, type JobOutcome, type State, type TaskSettings } from "./state";
import type { TextChoice } from "./texts";

export interface Studio extends Jobs, Scoring, Resuming, Checking, Omit<Opening, "reopen">, Pick<Live, "setLive" | "keep"> {
  store: StoreApi<State>;
  start(): Promise<void>;
  /** For a browser without WebGPU: the demo on the float64 reference. */
  startReference(): Promise<void>;
  /** A new worker after a crash, with the model that was open. */
  restart(): Promise<void>;
  /** Changes fields of the recipe. A change of α moves the live curve along. */
  editRecipe(change: RecipeChange): void;
  /** Whether the rules as they are typed can be read. */
  faultRules(fault: string | null): void;
  /** Sets what the place where the result will run wants. */
  chooseDestination(destination: DestinationId): void;
  /** A whole recipe: a run's, or a file's. */
  loadRecipe(recipe: Recipe): void;
  chooseCalibration(change: Partial<TextChoice>): void;
  editEvaluation(change: Partial<EvaluationSettings>): void;
  editTasks(change: Partial<TaskSettings>): void;
  select(runId: string): void;
  remove(runId: string): void;
  rename(runId: string, name: string): void;
  setHidden(runId: string, hidden: boolean): void;
  chooseLayer(name: string | null): void;
  cancel(): void;
  /** Sets the most GPU memory that later jobs may use, in GiB; null: as much as there is. */
  limitMemory(gibibytes: number | null): void;
  /** Says something in the status line and the log. */
  notify(message: string): void;
  /** Keeps asking how much GPU memory is in use, until the returned function is called. */
  pollLiveBytes(): () => void;
}

/** What surrounds the studio. */
export interface Surroundings {
  /** The browser can write an export into a folder; where it cannot, the zip takes room beside the run. */
  picksFolders?: boolean;
  now?(): number;
  /** Makes ids of runs, which must never repeat: what is kept of a run may be found again days later. */
  newId?(): string;
}

/** @param connect starts a worker. */
export function createStudio(
  connect: () => Client,
  { picksFolders = true, now = () => performance.now(), newId = timedId }: Surroundings = {},
): Studio {
  const store = createStore<State>(() => initialState);
  const session = createSession(store, connect, picksFolders);
  const planner = createPlanner(store, session);
  const say = createLog(store);
  const { reopen, ...opening } = createOpening(store, session, planner, say);
  const caller = createCaller(store, session, planner, say, now);
  const quantizing = createQuantizing(store, session, caller, say, newId);
  const resuming = createResuming(store, session, quantizing);
  const jobs = createJobs(store, caller, quantizing, say, now);
  const { follow, rest, ...live } = createLive(store, caller, quantizing);
  watchLayer(store, session);

  return {
    store,
    ...opening,
    ...jobs,
    ...createChecking(store, caller, say),
    ...createScoring(store, caller, say, now),
    ...resuming,
    ...live,
    async start() {
      await session.start(false);
      const { facts, error } = store.getState().gpu;
      if (facts) say(facts.software ? "warning" : "info", `Computing on ${facts.description}${facts.software ? ", in software" : ""}.`);
      if (error) say("error", error.message);
    },
    async startReference() {
      await session.start(true);
      if (store.getState().gpu.status === "ready") await opening.openDemo();
    },
    async restart() {
      await session.restart();
      if (store.getState().gpu.status === "ready") await reopen();
    },
    editRecipe(change) {
      store.setState(({ recipe, bitsChosen }) => ({
        outcome: { kind: "none" },
        bitsChosen: bitsChosen || change.bits !== undefined,
        recipe: changeRecipe(recipe, change),
      }));
      planner.refresh();
      if (change.qep?.alpha !== undefined) follow();
    },
    faultRules(fault) {
      if (store.getState().rulesFault === fault) return;
      store.setState({ rulesFault: fault });
      planner.refresh();
    },
    chooseDestination(destination) {
      store.setState(({ recipe, model }) => ({
        outcome: { kind: "none" },
        recipe: suited(recipe, destination, model.summary ? inputWidths(model.summary) : []),
      }));
      planner.refresh();
    },
    loadRecipe(recipe) {
      const { summary } = store.getState().model;
      const blocks = summary?.blocks ?? Number.POSITIVE_INFINITY;
      const possible = possibleFor(recipe, summary);
      const fitting = possible.blocks !== null && possible.blocks >= blocks ? { ...possible, blocks: null } : possible;
      store.setState({ recipe: fitting, bitsChosen: true, outcome: { kind: "none" } });
      planner.refresh();
    },
    chooseCalibration(change) {
      store.setState(({ calibration }) => ({ outcome: { kind: "none" }, calibration: { ...calibration, ...change } }));
      planner.refresh();
    },
    editEvaluation(change) {
      store.setState(({ evaluation, outcome }) => ({ evaluation: { ...evaluation, ...change }, outcome: unlessFailed(outcome) }));
    },
    editTasks(change) {
      store.setState(({ tasks, outcome }) => ({ tasks: { ...tasks, ...change }, outcome: unlessFailed(outcome) }));
    },
    select(runId) {
      store.setState({ selected: runId });
    },
    remove(runId) {
      if (store.getState().job?.runId !== runId) quantizing.forget([runId]);
    },
    rename(runId, name) {
      caller.changeRun(runId, (r) => ({ ...r, name: name.trim() === "" ? null : name.slice(0, 80) }));
    },
    setHidden(runId, hidden) {
      caller.changeRun(runId, (r) => ({ ...r, hidden }));
    },
    chooseLayer(name) {
      store.setState((s) => (s.layer.name === name ? {} : { layer: { name, facts: null } }));
    },
    cancel() {
      rest();
      caller.cancel();
    },
    limitMemory(gpuMemory) {
      store.setState({ gpuMemory, outcome: { kind: "none" } });
      // A worker that is gone is told when the next one starts.
      session.limitMemory().catch(() => {});
      planner.refresh();
    },
    notify(message) {
      say("info", message);
      if (!store.getState().job) store.setState({ outcome: { kind: "notice", message } });
    },
    pollLiveBytes: () => pollLiveBytes(store, session),
  };
}

/** What was done stays said while the next measurement is set up; what failed may be what was just mended. */
const unlessFailed = (outcome: JobOutcome): JobOutcome => (outcome.kind === "failed" ? { kind: "none" } : outcome);

/** An id that sorts by time and differs from other tabs' ids. */
const timedId = (): string => `${Date.now().toString(36).padStart(9, "0")}-${Math.random().toString(36).slice(2, 10)}`;
