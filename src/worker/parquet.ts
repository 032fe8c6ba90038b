import { QuantError, throwIfCancelled } from "../errors";
import { endless, parquetDeadlineMs, parquetRequest, type ReadParquet, type Row, unreadable } from "../io/parquet";
import type { Reply } from "./protocol";

/** In a worker of its own, which is ended when the job is cancelled or it takes too long. */
export const readParquet =
  (signal: AbortSignal): ReadParquet =>
  async (file, wanted) => {
    const request = await parquetRequest(file, wanted);
    throwIfCancelled(signal);
    const worker = new Worker(new URL("./parquet-worker.ts", import.meta.url), { type: "module", name: "qep-parquet" });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<Row[]>((resolve, reject) => {
        timer = setTimeout(() => reject(endless(file.name)), parquetDeadlineMs);
        signal.addEventListener("abort", () => reject(new QuantError("cancelled")));
        // Not the death of the engine's worker: runs and their weights are still there.
        worker.onerror = (e) => reject(unreadable(file.name, e.message ?? ""));
        worker.onmessage = ({ data }: MessageEvent<Reply<Row[]>>) =>
          data.ok ? resolve(data.value) : reject(QuantError.fromFlat(data.error));
        worker.postMessage(request, [request.content]);
      });
    } finally {
      clearTimeout(timer);
      worker.terminate();
    }
  };
