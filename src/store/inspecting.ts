/** Facts of the chosen layer in the selected run, asked for when the worker has nothing else to do. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError } from "../errors";
import { selectedRun } from "./next";
import type { Session } from "./session";
import type { LayerState, State } from "./state";

/** Key of the facts to ask for now; null where none are wanted, or the worker is busy. */
function wantedKey(state: State): string | null {
  const run = selectedRun(state);
  const idle = state.job === null && state.model.opening === null && state.gpu.status === "ready";
  return idle && run && state.layer.name ? `${run.id} ${run.held} ${state.layer.name}` : null;
}

/** Asks for the facts of the chosen layer in the selected run whenever either changes, once for each pair. */
export function watchLayer(store: StoreApi<State>, session: Session): void {
  let asked: string | null = null;
  const known = new Map<string, LayerState["facts"]>();
  let model = store.getState().model.summary;

  async function ask(key: string, runId: string, name: string) {
    const answer = (facts: LayerState["facts"]) => {
      if (asked === key) asked = null;
      if (facts?.value) known.set(key, facts);
      store.setState((s) => (s.layer.name === name ? { layer: { name, facts } } : {}));
    };
    try {
      // While this waited in the queue, the selection may have changed, or a run may have started, which must not wait for a chart.
      const value = await session.queue(async (c) => (wantedKey(store.getState()) === key ? c.call("layerFacts", runId, name) : null));
      if (value) answer({ key, value, error: null });
      else if (asked === key) asked = null;
    } catch (cause) {
      answer({ key, value: null, error: asQuantError(cause).flat() });
    }
  }

  store.subscribe((state) => {
    if (state.model.summary !== model) {
      model = state.model.summary;
      known.clear();
    }
    const key = wantedKey(state);
    if (key === null || key === asked || state.layer.facts?.key === key) return;
    const name = state.layer.name!;
    const facts = known.get(key);
    if (facts) {
      store.setState({ layer: { name, facts } });
      return;
    }
    asked = key;
    ask(key, selectedRun(state)!.id, name);
  });
}
