/** Opening a checkpoint, and the recipe that suits it. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError } from "../errors";
import { baseOf, defaultRecipe, type Recipe } from "../recipe/recipe";
import { regrouped } from "../recipe/suiting";
import { inputWidths, type ModelSummary } from "../results/model";
import type { Client } from "../worker/client";
import type { Given } from "../worker/protocol";
import type { Say } from "./log";
import type { Planner } from "./planning";
import type { Session } from "./session";
import type { State } from "./state";

export type { Given };

export interface Opening {
  openDemo(): Promise<void>;
  openFiles(given: Given): Promise<void>;
  /** After a restart of the worker. */
  reopen(): Promise<void>;
}

export function createOpening(store: StoreApi<State>, session: Session, planner: Planner, say: Say): Opening {
  /** The person's recipe, while a model is open that can only be rounded. */
  let aside: Recipe | null = null;
  let last: { label: string; demo: boolean; work: (client: Client) => Promise<ModelSummary> } | null = null;

  async function open(label: string, demo: boolean, work: (client: Client) => Promise<ModelSummary>, again = false) {
    if (store.getState().job || store.getState().model.opening !== null) return;
    store.setState((s) => ({ model: { ...s.model, opening: label, error: null }, outcome: { kind: "none" } }));
    try {
      const summary = await session.queue(work);
      last = { label, demo, work };
      if (again) {
        store.setState((s) => ({ model: { ...s.model, summary, opening: null, error: null } }));
      } else {
        const wanted = aside ?? store.getState().recipe;
        aside = summary.shape ? null : wanted;
        store.setState((s) => ({
          model: { summary, opening: null, error: null, measured: [], compared: [], scored: [], demo },
          outcome: { kind: "opened", label: summary.label },
          recipe: recipeFor(wanted, s.bitsChosen, summary, demo),
          runs: [],
          selected: null,
          plan: { pending: false, summary: null, error: null },
          stream: null,
          tasks: { ...s.tasks, kind: demo ? "demo" : "file" },
          live: { ...s.live, shown: null, under: null },
          interrupted: [],
          layer: { name: null, facts: null },
        }));
      }
      say("info", `Opened ${summary.label}: ${summary.architecture}, ${summary.blocks} blocks, ${summary.dtypes.join(", ")}.`);
      for (const note of summary.notes) say("info", note);
      for (const warning of summary.warnings) say("warning", warning);
      planner.refresh();
    } catch (cause) {
      const error = asQuantError(cause).flat();
      store.setState((s) => ({ model: { ...s.model, opening: null, error }, outcome: { kind: "failed", error } }));
      say("error", error.message);
    }
  }

  return {
    openDemo: () => open("demo model", true, (c) => c.call("openDemo")),
    openFiles: (given) => open(given.label, false, (c) => c.call("openFiles", given)),
    async reopen() {
      if (last) await open(last.label, last.demo, last.work, true);
    },
  };
}

/** The recipe for a newly opened model: settings that depend on its size start anew, all others stay as the person set them. */
export function recipeFor(given: Recipe, bitsChosen: boolean, model: ModelSummary, demo: boolean): Recipe {
  const recipe = regrouped(possibleFor(given, model), inputWidths(model));
  const length = Math.min(demo ? 128 : 256, model.shape?.maxPositions ?? Number.POSITIVE_INFINITY);
  return {
    ...recipe,
    bits: bitsChosen || recipe.destination !== defaultRecipe.destination ? recipe.bits : demo ? 3 : defaultRecipe.bits,
    blocks: null,
    calibration: { ...recipe.calibration, windows: demo ? 16 : 32, windowLength: length },
  };
}

/** The recipe, changed to plain rounding for a model that cannot be run. */
export function possibleFor(recipe: Recipe, model: ModelSummary | null): Recipe {
  if (!model || model.shape) return recipe;
  const { qep, rules } = baseOf(recipe);
  const rounding = rules.map(({ method: _, ...rule }) => rule).filter((rule) => Object.keys(rule).length > 1);
  return {
    ...recipe,
    qep: { ...qep, choice: "given" },
    rules: rounding,
    method: "rtn",
    rotation: null,
    destination: "measure",
    type: "none",
    format: "dense",
  };
}
