/** A job around calls of the worker: one at a time, cancellable, ending in an outcome. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError, QuantError } from "../errors";
import type { RunEvent } from "../results/events";
import type { Client } from "../worker/client";
import { applyToJob, applyToRun, createInbox } from "./inbox";
import type { Say } from "./log";
import type { Planner } from "./planning";
import type { Session } from "./session";
import type { Job, JobOutcome, Run, State } from "./state";

export type Listen = (event: RunEvent) => void;

/** What jobs are made of. */
export interface Caller {
  /** Sets a job up and down around `work`, which gives the outcome. */
  job(job: Pick<Job, "kind" | "runId"> & Partial<Job>, work: () => Promise<JobOutcome>): Promise<void>;
  /** One call of the worker with its events. Part of a job. */
  call<T>(runId: string, work: (client: Client, listen: Listen) => Promise<T>): Promise<T>;
  changeRun(id: string, change: (run: Run) => Run): void;
  /** Asks the job under way to stop. */
  cancel(): void;
}

export function createCaller(store: StoreApi<State>, session: Session, planner: Planner, say: Say, now: () => number): Caller {
  const get = store.getState;
  const changeRun: Caller["changeRun"] = (id, change) =>
    store.setState((s) => ({ runs: s.runs.map((r) => (r.id === id ? change(r) : r)) }));

  return {
    changeRun,

    async call(runId, work) {
      const inbox = createInbox((events) => {
        const { job, runs } = get();
        if (job) store.setState({ job: applyToJob(job, events, now()) });
        if (job?.kind === "run" && events.length) changeRun(runId, (r) => applyToRun(r, events));
        const number = runs.find((r) => r.id === runId)?.number;
        for (const event of events) if (event.type === "log") say(event.level, event.message, number);
      });
      try {
        return await session.queue(async (client) => {
          if (get().job?.cancelling) throw new QuantError("cancelled");
          return work(client, inbox.push);
        });
      } finally {
        inbox.close();
      }
    },

    async job(given, work) {
      const startedAt = now();
      store.setState({
        job: {
          fraction: 0,
          where: "",
          startedAt,
          now: startedAt,
          expectedSeconds: null,
          cancelling: false,
          part: 1,
          parts: 1,
          live: false,
          ...given,
        },
        outcome: { kind: "none" },
      });
      let outcome: JobOutcome;
      try {
        outcome = await work();
      } catch (cause) {
        const error = asQuantError(cause).flat();
        outcome = error.code === "cancelled" ? { kind: "cancelled", what: given.live ? "live" : given.kind } : { kind: "failed", error };
        if (outcome.kind === "failed") say("error", error.message);
        else if (!given.live) say("info", "Cancelled.");
      }
      store.setState({ job: null, outcome });
      planner.refresh();
    },

    cancel() {
      if (!get().job || get().job?.cancelling) return;
      store.setState((s) => ({ job: s.job && { ...s.job, cancelling: true } }));
      session.aside((c) => c.call("cancel"));
    },
  };
}
