import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { asQuantError, QuantError, throwIfCancelled } from "../errors";
import { unreadable } from "../io/parquet";
import { type Ask, doRequest, type HelperRequest, helperOf, lateAnswer } from "../model/helper";
import type { Helper } from "../model/text-file";
import type { Reply } from "../results/reply";

/** Answers each request on a new thread, which runs this same program (main.ts). The thread is ended on Ctrl-C or when it takes too long. */
const ask =
  (signal: AbortSignal): Ask =>
  async <T>(request: HelperRequest, deadlineMs: number | null) => {
    throwIfCancelled(signal);
    const worker = new Worker(new URL(import.meta.url), { workerData: request, resourceLimits: { maxOldGenerationSizeMb: 2048 } });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const done = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        if (deadlineMs !== null) timer = setTimeout(() => reject(lateAnswer), deadlineMs);
        signal.addEventListener("abort", () => reject(new QuantError("cancelled")), { signal: done.signal });
        worker.on("error", (e) => reject(unreadable("name" in request ? request.name : "the text", (e as Error).message)));
        worker.on("message", (reply: Reply<T>) => (reply.ok ? resolve(reply.value) : reject(QuantError.fromFlat(reply.error))));
      });
    } finally {
      clearTimeout(timer);
      done.abort();
      await worker.terminate();
    }
  };

export const threadHelper = (signal: AbortSignal): Helper => helperOf(ask(signal));

/** Whether this is such a thread; if so, it starts on its request. */
export function isHelperThread(): boolean {
  if (isMainThread) return false;
  const answer = (reply: Reply<unknown>) => parentPort!.postMessage(reply);
  doRequest(workerData as HelperRequest).then(
    (value) => answer({ ok: true, value }),
    (e) => answer({ ok: false, error: asQuantError(e).flat() }),
  );
  return true;
}
