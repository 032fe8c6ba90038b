/** The page's state and all that a person can do to it. Knows the worker only through `Client`. */
import { createStore, type StoreApi } from "zustand/vanilla";
import type { Recipe } from "../recipe/recipe";
import type { Client } from "../worker/client";
import { createJobs, type Jobs } from "./jobs";
import { createOpening, type Opening } from "./opening";
import { createPlanner } from "./planning";
import { createSession } from "./session";
import { type EvaluationSettings, initialState, type State } from "./state";
import type { TextChoice } from "./texts";

export type RecipeChange = Partial<Omit<Recipe, "qep" | "gptq" | "calibration">> & {
  qep?: Partial<Recipe["qep"]>;
  gptq?: Partial<Recipe["gptq"]>;
  calibration?: Partial<Recipe["calibration"]>;
};

export interface Studio extends Jobs, Omit<Opening, "reopen"> {
  store: StoreApi<State>;
  start(): Promise<void>;
  /** For a browser without WebGPU: the demo on the float64 reference. */
  startReference(): Promise<void>;
  /** A new worker after a crash, with the model that was open. */
  restart(): Promise<void>;
  editRecipe(change: RecipeChange): void;
  chooseCalibration(change: Partial<TextChoice>): void;
  editEvaluation(change: Partial<EvaluationSettings>): void;
  select(runId: string): void;
  remove(runId: string): void;
}

export function createStudio(connect: () => Client, now: () => number = () => performance.now()): Studio {
  const store = createStore<State>(() => initialState);
  const session = createSession(store, connect);
  const planner = createPlanner(store, session);
  const { reopen, ...opening } = createOpening(store, session, planner);
  const jobs = createJobs(store, session, planner, now);

  return {
    store,
    ...opening,
    ...jobs,
    start: () => session.start(false),
    async startReference() {
      await session.start(true);
      if (store.getState().gpu.status === "ready") await opening.openDemo();
    },
    async restart() {
      await session.restart();
      await reopen();
    },
    editRecipe({ qep, gptq, calibration, ...change }) {
      store.setState(({ recipe, bitsChosen }) => ({
        outcome: { kind: "none" },
        bitsChosen: bitsChosen || change.bits !== undefined,
        recipe: {
          ...recipe,
          ...change,
          qep: { ...recipe.qep, ...qep },
          gptq: { ...recipe.gptq, ...gptq },
          calibration: { ...recipe.calibration, ...calibration },
        },
      }));
      planner.refresh();
    },
    chooseCalibration(change) {
      store.setState(({ calibration }) => ({ outcome: { kind: "none" }, calibration: { ...calibration, ...change } }));
      planner.refresh();
    },
    editEvaluation(change) {
      store.setState(({ evaluation }) => ({ evaluation: { ...evaluation, ...change } }));
    },
    select(runId) {
      store.setState({ selected: runId });
    },
    remove(runId) {
      if (store.getState().job?.runId === runId) return;
      store.setState(({ runs, selected }) => {
        const left = runs.filter((r) => r.id !== runId);
        return { runs: left, selected: selected === runId ? (left.at(-1)?.id ?? null) : selected };
      });
      session.queue((c) => c.call("forget", runId)).catch(() => {});
    },
  };
}
