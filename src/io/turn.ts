import { throwIfCancelled } from "../errors";

/**
 * Lets other events run between two stretches of work: a cancel, progress, the news of a lost device. They wait until the current task ends, and promises
 * alone don't end it. A MessageChannel is not throttled in hidden tabs as timers are.
 */
export function letEventsIn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** The same between two stretches of a job. @throws QuantError `cancelled`. */
export async function letCancelIn(signal?: AbortSignal): Promise<void> {
  await letEventsIn();
  throwIfCancelled(signal);
}
