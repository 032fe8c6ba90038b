/** Runs of a recipe, started by a button or by dragging α. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError, QuantError } from "../errors";
import { type Recipe, recipeTitle } from "../recipe/recipe";
import type { InterruptedRun } from "../results/interrupted";
import type { Caller } from "./calling";
import type { Say } from "./log";
import { isRunnable } from "./next";
import { familyKey, freePlace, newRun, runsInSight, streamKey } from "./runs";
import type { Session } from "./session";
import type { Run, State } from "./state";
import { noText, sourceOf, type TextChoice, textLabel } from "./texts";

export interface Quantizing {
  /** A run that the person asked for. `keepSelection`: it was added to compare the selected run with, which stays selected. */
  run(recipe: Recipe, text: TextChoice, keepSelection?: boolean): Promise<void>;
  /** Goes on with a run that was interrupted. */
  resume(found: InterruptedRun, text: TextChoice): Promise<void>;
  /** Runs the panel's recipe with its new α, drawn over the current curve. It leaves no trace when it is cancelled. */
  attempt(): Promise<void>;
  /** Removes runs from the page and from the worker. */
  forget(ids: readonly string[]): void;
}

/** How many dragged runs that are no longer shown the worker still holds; of older ones only the curves are kept. */
const keptOutOfSight = 2;

export function createQuantizing(store: StoreApi<State>, session: Session, caller: Caller, say: Say, newId: () => string): Quantizing {
  const get = store.getState;
  const { changeRun } = caller;

  /** @param given.resumes the run exists already, in part, and is resumed. */
  async function quantize(
    run: Run,
    given: { seconds: number | null; live: boolean; resumes?: boolean },
    onEnd: (ok: boolean) => void,
  ): Promise<void> {
    const { id, recipe, text } = run;
    await caller.job({ kind: "run", runId: id, expectedSeconds: given.seconds, live: given.live }, async () => {
      try {
        const calibration = isRunnable(get()) && !given.resumes ? sourceOf(text) : noText;
        const { blocks, layers, ms, streamMs, peakGpuBytes } = await caller.call(id, async (c, listen) => {
          if (given.resumes) {
            const bytesOut = run.bytesOut ?? (await c.call("exportBytes", recipe));
            changeRun(id, (r) => ({ ...r, bytesOut }));
            if (get().job?.cancelling) throw new QuantError("cancelled");
            return c.call("resume", id, listen);
          }
          if (!given.live) {
            const plan = await c.call("plan", recipe, calibration);
            changeRun(id, (r) => ({ ...r, bytesOut: plan.bytesOut }));
            store.setState((s) => ({ job: s.job && { ...s.job, expectedSeconds: plan.seconds } }));
            if (get().job?.cancelling) throw new QuantError("cancelled");
          }
          return c.call("run", { id, recipe, calibration, isPassing: given.live }, listen);
        });
        changeRun(id, (r) => ({ ...r, status: "done", held: true, blocks, layers, ms, streamMs, peakGpuBytes }));
        store.setState({ stream: streamKey(recipe, text) });
        onEnd(true);
        return { kind: "ran", runId: id, ms };
      } catch (cause) {
        const error = asQuantError(cause).flat();
        changeRun(id, (r) => ({ ...r, status: error.code === "cancelled" ? "cancelled" : "failed", error }));
        onEnd(false);
        throw cause;
      }
    });
  }

  const quantizing: Quantizing = {
    async run(recipe, text, keepSelection = false) {
      settle(recipe, text);
      const state = get();
      const { selected } = state;
      if (state.job || !state.model.summary || state.model.summary.packing !== null) return;
      const run = newRun({ id: newId(), ...freePlace(state), recipe, text, dragged: false }, state.model.summary.blocks);
      store.setState({ runs: [...state.runs, run], selected: run.id });
      const on = state.model.summary.shape ? `, calibrated on ${textLabel(text, "calibration")}` : "";
      say("info", `Started: ${recipeTitle(recipe)}${on}.`, run.number);
      await quantize(run, { seconds: null, live: false }, (ok) => {
        const ended = get().runs.find((r) => r.id === run.id);
        if (ok && ended) say("info", `Finished in ${((ended.ms ?? 0) / 1000).toFixed(1)} s.`, run.number);
        if (ok && keepSelection && selected) store.setState({ selected });
      });
    },

    async resume({ id, recipe, done, blocks }, text) {
      const state = get();
      if (state.job || !state.model.summary) return;
      const known = state.runs.find((r) => r.id === id);
      const run: Run = known
        ? { ...known, status: "running", error: null }
        : newRun({ id, ...freePlace(state), recipe, text, dragged: false }, state.model.summary.blocks);
      store.setState({ runs: known ? state.runs.map((r) => (r.id === id ? run : r)) : [...state.runs, run], selected: id });
      const where = done < blocks ? `Resumed at block ${done + 1} of ${blocks}` : `Brought back, all ${blocks} blocks done`;
      say("info", `${where}: ${recipeTitle(recipe)}.`, run.number);
      await quantize(run, { seconds: null, live: false, resumes: true }, (ok) => {
        if (ok) say("info", "Finished.", run.number);
      });
    },

    async attempt() {
      const before = get();
      const { recipe, calibration: text, model } = before;
      if (before.job || !model.summary) return;
      const family = familyKey(recipe, text);
      const shown = before.runs.find((r) => r.id === before.live.shown && r.dragged) ?? null;
      const takesOver = shown !== null && familyKey(shown.recipe, shown.text) === family;
      if (!takesOver) settle(recipe, text);
      const under = [before.live.shown, before.selected]
        .map((id) => before.runs.find((r) => r.id === id))
        .find((r) => r?.status === "done" && familyKey(r.recipe, r.text) === family);
      const last = before.runs.findLast((r) => r.status === "done" && familyKey(r.recipe, r.text) === family);
      const place = takesOver ? { number: shown.number, slot: shown.slot } : freePlace(get());
      const run: Run = {
        ...newRun({ id: newId(), ...place, recipe, text, dragged: true }, model.summary.blocks),
        bytesOut: last?.bytesOut ?? null,
      };
      store.setState((s) => ({
        runs: [...s.runs, run],
        selected: run.id,
        live: { ...s.live, shown: run.id, under: under?.id ?? null },
      }));
      const seconds = last?.ms ? (last.ms - last.streamMs) / 1000 : null;
      await quantize(run, { seconds, live: true }, (ok) => (ok ? finish(run) : takeBack(run.id)));
    },

    forget(ids) {
      store.setState(({ runs, selected, live }) => {
        const left = runs.filter((r) => !ids.includes(r.id));
        const keep = (id: string | null) => (id !== null && ids.includes(id) ? null : id);
        const next = { ...live, shown: keep(live.shown), under: keep(live.under) };
        return { runs: left, live: next, selected: keep(selected) ?? runsInSight({ runs: left, live: next }).at(-1)?.id ?? null };
      });
      for (const id of ids) session.aside((c) => c.call("forget", id));
    },
  };

  /** Before another run: the one that followed the slider becomes an ordinary run, or is removed where the same recipe is about to be run again. */
  function settle(recipe: Recipe, text: TextChoice) {
    const { live, runs, job } = get();
    const shown = runs.find((r) => r.id === live.shown);
    if (job || !shown) return;
    const same = JSON.stringify(shown.recipe) === JSON.stringify(recipe) && familyKey(shown.recipe, shown.text) === familyKey(recipe, text);
    if (same && shown.dragged) quantizing.forget([shown.id]);
    else changeRun(shown.id, (r) => ({ ...r, dragged: false }));
    store.setState((s) => ({ live: { ...s.live, shown: null, under: null } }));
  }

  function finish(run: Run) {
    say("info", `α ${run.recipe.qep.alpha} is finished.`, run.number);
    store.setState((s) => ({ live: { ...s.live, under: null } }));
    const { runs, live } = get();
    const old = runs.filter((r) => r.dragged && r.held && r.id !== live.shown).slice(0, -keptOutOfSight);
    for (const { id } of old) {
      changeRun(id, (r) => ({ ...r, held: false }));
      session.aside((c) => c.call("forget", id));
    }
  }

  /** Removes an attempt that did not finish, and shows again what was shown before it. */
  function takeBack(id: string) {
    store.setState(({ runs, live, selected }) => {
      const left = runs.filter((r) => r.id !== id);
      const back = left.find((r) => r.id === live.under) ?? null;
      return {
        runs: left,
        live: { ...live, shown: back?.dragged ? back.id : null, under: null },
        selected: selected === id ? (back?.id ?? left.at(-1)?.id ?? null) : selected,
      };
    });
  }

  return quantizing;
}
