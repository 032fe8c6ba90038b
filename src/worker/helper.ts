import { QuantError, throwIfCancelled } from "../errors";
import { unreadable } from "../io/parquet";
import { type Ask, type HelperRequest, helperOf, lateAnswer } from "../model/helper";
import type { Helper } from "../model/text-file";
import type { Reply } from "../results/reply";

/** A worker of its own for each request, ended when the job is cancelled or it takes too long. */
const ask =
  (signal: AbortSignal): Ask =>
  async <T>(request: HelperRequest, deadlineMs: number | null) => {
    throwIfCancelled(signal);
    const worker = new Worker(new URL("./helper-worker.ts", import.meta.url), { type: "module", name: "qep-helper" });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const done = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        if (deadlineMs !== null) timer = setTimeout(() => reject(lateAnswer), deadlineMs);
        signal.addEventListener("abort", () => reject(new QuantError("cancelled")), { signal: done.signal });
        // The engine's own worker is still alive, with its runs and their weights.
        worker.onerror = (e) => reject(unreadable("name" in request ? request.name : "the text", e.message ?? ""));
        worker.onmessage = ({ data }: MessageEvent<Reply<T>>) => (data.ok ? resolve(data.value) : reject(QuantError.fromFlat(data.error)));
        worker.postMessage(request, request.kind === "parquet" ? [request.content] : []);
      });
    } finally {
      clearTimeout(timer);
      done.abort();
      worker.terminate();
    }
  };

export const workerHelper = (signal: AbortSignal): Helper => helperOf(ask(signal));
