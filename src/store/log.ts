/** The log of what happened. */
import type { StoreApi } from "zustand/vanilla";
import type { LogLine, State } from "./state";

export type Say = (level: LogLine["level"], message: string, run?: number | null) => void;

const mostLines = 2000;

export function createLog(store: StoreApi<State>): Say {
  let id = 0;
  return (level, message, run = null) => {
    const line: LogLine = { id: ++id, at: Date.now(), level, run, message };
    store.setState(({ log }) => ({ log: [...(log.length < mostLines ? log : log.slice(-mostLines + 1)), line] }));
  };
}
