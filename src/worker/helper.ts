import { helperOf, type StartThread } from "../model/helper";
import type { Helper } from "../model/text-file";

const start: StartThread = (answer, fail) => {
  const worker = new Worker(new URL("./helper-worker.ts", import.meta.url), { type: "module", name: "qep-helper" });
  // The engine's own worker is still alive, with its runs and their weights.
  worker.onerror = (e) => fail(e.message ?? "");
  worker.onmessage = ({ data }) => answer(data);
  return {
    send: (request) => worker.postMessage(request, request.kind === "parquet" ? [request.content] : []),
    end: async () => worker.terminate(),
  };
};

/** Each thread is a worker of its own. */
export const workerHelper = (signal: AbortSignal): Helper => helperOf(start, signal);
