import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { asQuantError, QuantError, throwIfCancelled } from "../errors";
import {
  endless,
  type ParquetRequest,
  parquetDeadlineMs,
  parquetRequest,
  parquetRows,
  type ReadParquet,
  type Row,
  unreadable,
} from "../io/parquet";
import type { Reply } from "../worker/protocol";

/** In a thread of its own (main.ts again), which is ended on Ctrl-C or when it takes too long. */
export const readParquet =
  (signal: AbortSignal): ReadParquet =>
  async (file, wanted) => {
    const request = await parquetRequest(file, wanted);
    throwIfCancelled(signal);
    const worker = new Worker(new URL(import.meta.url), { workerData: request, resourceLimits: { maxOldGenerationSizeMb: 2048 } });
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<Row[]>((resolve, reject) => {
        timer = setTimeout(() => reject(endless(file.name)), parquetDeadlineMs);
        signal.addEventListener("abort", () => reject(new QuantError("cancelled")));
        worker.on("error", (e) => reject(unreadable(file.name, (e as Error).message)));
        worker.on("message", (reply: Reply<Row[]>) => (reply.ok ? resolve(reply.value) : reject(QuantError.fromFlat(reply.error))));
      });
    } finally {
      clearTimeout(timer);
      await worker.terminate();
    }
  };

/** True in that thread, which then does its work. */
export function isParquetThread(): boolean {
  if (isMainThread) return false;
  const answer = (reply: Reply<Row[]>) => parentPort!.postMessage(reply);
  parquetRows(workerData as ParquetRequest).then(
    (value) => answer({ ok: true, value }),
    (e) => answer({ ok: false, error: asQuantError(e).flat() }),
  );
  return true;
}
