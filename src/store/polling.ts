/** Asks for the bytes alive on the GPU once a second while the panel is open. */
import type { StoreApi } from "zustand/vanilla";
import type { Session } from "./session";
import type { State } from "./state";

export const pollMs = 1000;

/** Returns a function that stops it. */
export function pollLiveBytes(store: StoreApi<State>, session: Session): () => void {
  let asking = false;
  const timer = setInterval(async () => {
    if (asking || store.getState().gpu.status !== "ready") return;
    asking = true;
    const liveBytes = await session.aside((c) => c.call("liveBytes"));
    asking = false;
    if (liveBytes !== store.getState().liveBytes) store.setState({ liveBytes });
  }, pollMs);
  return () => clearInterval(timer);
}
