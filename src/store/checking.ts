/** Checking files that somebody wrote. */
import type { StoreApi } from "zustand/vanilla";
import type { CheckRequest } from "../worker/protocol";
import type { Caller } from "./calling";
import type { Say } from "./log";
import { canCheck } from "./next";
import type { State } from "./state";

export type { CheckRequest };

export interface Checking {
  /** Checks files; what is found is in `verification`. Nothing is opened by it. */
  checkFiles(request: CheckRequest): Promise<void>;
}

export function createChecking(store: StoreApi<State>, { job, call }: Caller, say: Say): Checking {
  return {
    async checkFiles(request) {
      if (!canCheck(store.getState())) return;
      store.setState({ verification: null });
      await job({ kind: "check", runId: "" }, async () => {
        const verification = await call("", (c, listen) => c.call("checkFiles", request, listen));
        store.setState({ verification });
        const { label, findings, passed } = verification;
        for (const { level, message, where } of findings)
          say(level === "ok" ? "info" : level, `${label}: ${message}${where ? ` (${where})` : ""}`);
        return { kind: "checked", label, passed };
      });
    },
  };
}
