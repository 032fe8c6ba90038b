import { QuantError } from "../errors";
import { type Hasher, plainHasher, type StartHasher } from "../io/hasher";

/** Below this much a file is hashed here, because a worker takes longer to start. */
const smallBytes = 2 ** 20;

/** SHA-256 in a worker of its own: the engine's has a GPU to keep busy. Small files are not worth one. */
export const workerHasher: StartHasher = () => {
  const here = plainHasher();
  let kept: Uint8Array[] = [];
  let held = 0;
  let away: Hasher | null = null;
  return {
    async update(bytes) {
      if (away) return away.update(bytes);
      kept.push(bytes.slice());
      held += bytes.length;
      if (held <= smallBytes) return;
      away = inWorker();
      for (const part of kept) await away.update(part);
      kept = [];
    },
    async digest() {
      if (away) return away.digest();
      for (const part of kept) await here.update(part);
      return here.digest();
    },
    close: () => away?.close(),
  };
};

function inWorker(): Hasher {
  const worker = new Worker(new URL("./hash-worker.ts", import.meta.url), { type: "module", name: "qep-hasher" });
  let settle: { resolve(answer: string | null): void; reject(e: QuantError): void } | null = null;
  worker.onmessage = ({ data }: MessageEvent<string | null>) => settle?.resolve(data);
  worker.onerror = (e) => settle?.reject(new QuantError("worker-died", `the one that hashes files: ${e.message ?? ""}`, "Export again."));
  const ask = (bytes: Uint8Array<ArrayBuffer> | null) =>
    new Promise<string | null>((resolve, reject) => {
      settle = { resolve, reject };
      worker.postMessage(bytes, bytes ? [bytes.buffer] : []);
    });
  return {
    async update(bytes) {
      // A copy crosses, of these bytes alone: the caller goes on to write them, and they may lie in a buffer that is much larger.
      await ask(new Uint8Array(bytes));
    },
    digest: async () => (await ask(null))!,
    close: () => worker.terminate(),
  };
}
