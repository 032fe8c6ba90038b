import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { asQuantError } from "../errors";
import { doRequest, type HelperRequest, helperOf, type StartThread } from "../model/helper";
import type { Helper } from "../model/text-file";
import type { Reply } from "../results/reply";

/** A new thread, which runs this same program (main.ts). */
const start: StartThread = (answer, fail) => {
  const worker = new Worker(new URL(import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 2048 } });
  worker.on("error", (e) => fail((e as Error).message));
  worker.on("message", answer);
  return { send: (request) => worker.postMessage(request), end: () => worker.terminate() };
};

export const threadHelper = (signal: AbortSignal): Helper => helperOf(start, signal);

/** Whether this is such a thread; if so, it waits for requests. */
export function isHelperThread(): boolean {
  if (isMainThread) return false;
  const answer = (reply: Reply<unknown>) => parentPort!.postMessage(reply);
  parentPort!.on("message", (request: HelperRequest) =>
    doRequest(request).then(
      (value) => answer({ ok: true, value }),
      (e) => answer({ ok: false, error: asQuantError(e).flat() }),
    ),
  );
  return true;
}
