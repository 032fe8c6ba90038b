/** Asks what a run would take, again a moment after anything it depends on has changed. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError, QuantError } from "../errors";
import { parseRecipe } from "../recipe/schema";
import { isRunnable } from "./next";
import { streamKey } from "./runs";
import type { Session } from "./session";
import type { State } from "./state";
import { noText, sourceOf } from "./texts";

export interface Planner {
  refresh(): void;
}

/** Which full-precision stream the worker keeps, corrected by a plan's answer: a stream may not have fitted the budget. */
function streamAfter(known: string | null, asked: string, kept: boolean): string | null {
  if (kept) return asked;
  return known === asked ? null : known;
}

const settleMs = 250;

export function createPlanner(store: StoreApi<State>, session: Session): Planner {
  let generation = 0;
  const hasDevice = () => store.getState().gpu.status === "ready";
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function ask(mine: number) {
    const isStale = () => mine !== generation;
    try {
      const { recipe, calibration, rulesFault } = store.getState();
      const source = isRunnable(store.getState()) ? sourceOf(calibration) : noText;
      if (rulesFault !== null) throw new QuantError("bad-rule", rulesFault, "Mend its line, or remove it.");
      parseRecipe(recipe);
      const summary = await session.queue(async (c) => (isStale() || !hasDevice() ? null : c.call("plan", recipe, source)));
      if (isStale()) return;
      store.setState((s) => ({
        plan: { pending: false, summary: summary ?? s.plan.summary, error: null },
        stream: summary ? streamAfter(s.stream, streamKey(recipe, calibration), summary.streamKept) : s.stream,
      }));
    } catch (cause) {
      if (isStale()) return;
      // That the device is gone is no fault of the recipe, and its own state tells it.
      const plan = hasDevice() ? { summary: null, error: asQuantError(cause).flat() } : { ...store.getState().plan, error: null };
      store.setState({ plan: { ...plan, pending: false } });
    }
  }

  return {
    refresh() {
      const mine = ++generation;
      clearTimeout(timer);
      const { summary } = store.getState().model;
      if (!summary || summary.packing !== null) return;
      store.setState((s) => ({ plan: { ...s.plan, pending: true } }));
      timer = setTimeout(() => ask(mine), settleMs);
    },
  };
}
