/** Runs that were interrupted: found when a checkpoint opens or a run stops, then resumed where they stopped, or discarded. */
import type { StoreApi } from "zustand/vanilla";
import type { InterruptedRun } from "../results/interrupted";
import type { Quantizing } from "./quantizing";
import type { Session } from "./session";
import type { State } from "./state";
import { demoText, type TextChoice, textLabel } from "./texts";

export interface Resuming {
  /** Goes on with it, on the windows that it was started on. */
  resume(id: string): Promise<void>;
  discard(id: string): Promise<void>;
}

export function createResuming(store: StoreApi<State>, session: Session, quantizing: Quantizing): Resuming {
  const without = (id: string) => store.setState((s) => ({ interrupted: s.interrupted.filter((run) => run.id !== id) }));

  async function look(): Promise<void> {
    const { summary } = store.getState().model;
    if (!summary) return;
    try {
      const interrupted = await session.queue((c) => c.call("interrupted"));
      if (store.getState().model.summary === summary) store.setState({ interrupted });
    } catch {
      // What keeps the worker from answering is reported elsewhere; here nothing is offered.
    }
  }

  store.subscribe((now, before) => {
    const hasOpened = now.model.summary !== before.model.summary;
    const hasStopped = before.job?.kind === "run" && !before.job.live && now.job === null && now.outcome.kind !== "ran";
    if (hasOpened || hasStopped) look();
  });

  return {
    async resume(id) {
      const { interrupted, job, model } = store.getState();
      const found = interrupted.find((run) => run.id === id);
      if (!found || job) return;
      without(id);
      await quantizing.resume(found, textOf(found, model.demo));
    },

    async discard(id) {
      if (store.getState().job?.runId === id) return;
      without(id);
      await session.aside((c) => c.call("forget", id));
    },
  };
}

/** The text as the person chose it, if it can still be read: the demo's always can. */
function textOf({ id, text }: InterruptedRun, demo: boolean): TextChoice {
  if (text === null || (demo && text.label === textLabel(demoText, "calibration"))) return demoText;
  return { kind: "kept", file: null, pasted: "", kept: { runId: id, ...text } };
}
