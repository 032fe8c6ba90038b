/** α live: the curve follows the slider. A run under way is interrupted by the next α; an α that was finished before comes back without a run. */
import type { StoreApi } from "zustand/vanilla";
import type { Caller } from "./calling";
import type { Quantizing } from "./quantizing";
import { finishedAlphas, streamKey } from "./runs";
import type { State } from "./state";

export interface Live {
  /** After every change of the panel's α. */
  follow(): void;
  /** Forgets an α that was chosen but not started. A run under way goes on. */
  rest(): void;
  setLive(on: boolean): void;
  /** Keeps the run that follows the slider, so that the next α draws a line of its own. */
  keep(runId: string): void;
}

/** Whether dragging α can re-run at once: the worker keeps the full-precision stream of the panel's text, and a finished run differs in α alone. */
export function canFollow(state: State): boolean {
  const { gpu, model, recipe, calibration, stream, rulesFault } = state;
  if (gpu.status !== "ready" || model.opening !== null || !model.summary?.shape || model.summary.packing !== null) return false;
  if (recipe.qep.choice === "best" || rulesFault !== null) return false;
  return stream !== null && stream === streamKey(recipe, calibration) && finishedAlphas(state).length > 0;
}

/** Whether a change of α starts a run now. */
export const isFollowing = (state: State): boolean => state.live.on && canFollow(state);

export function createLive(store: StoreApi<State>, caller: Caller, quantizing: Quantizing): Live {
  const get = store.getState;
  /** The slider moved, and no run has been started for it yet. */
  let wanted = false;

  const runningAlpha = (state: State) => state.runs.find((r) => r.id === state.job?.runId)?.recipe.qep.alpha;

  function pump() {
    const state = get();
    if (!wanted) return;
    if (!isFollowing(state)) {
      wanted = false;
      return;
    }
    const { job, recipe } = state;
    const known = finishedAlphas(state).find((r) => r.recipe.qep.alpha === recipe.qep.alpha);
    if (job?.live && (known || runningAlpha(state) !== recipe.qep.alpha)) caller.cancel();
    if (job) return;
    wanted = false;
    if (known) show(known.id);
    else quantizing.attempt();
  }

  function show(id: string) {
    const { runs, live } = get();
    const known = runs.find((r) => r.id === id)!;
    if (!known.dragged) {
      store.setState({ selected: id, live: { ...live, shown: null, under: null }, outcome: { kind: "recalled", runId: id } });
      return;
    }
    // The new run takes over the number and colour of the shown one, so that the eye follows one line.
    const place = runs.find((r) => r.id === live.shown && r.dragged);
    store.setState({
      runs: place ? runs.map((r) => (r.id === id ? { ...r, number: place.number, slot: place.slot } : r)) : runs,
      selected: id,
      live: { ...live, shown: id, under: null },
      outcome: { kind: "recalled", runId: id },
    });
  }

  store.subscribe((now, before) => {
    if (before.job && !now.job) pump();
  });

  return {
    follow() {
      wanted = isFollowing(get());
      pump();
    },
    rest() {
      wanted = false;
    },
    setLive(on) {
      store.setState((s) => ({ live: { ...s.live, on } }));
      wanted = false;
      if (!on && get().job?.live) caller.cancel();
    },
    keep(runId) {
      caller.changeRun(runId, (r) => ({ ...r, dragged: false }));
      store.setState((s) => ({ live: { ...s.live, shown: s.live.shown === runId ? null : s.live.shown, under: null } }));
    },
  };
}
