/** The page's connection to the worker: one call at a time, and a new worker when the person restarts it. */
import type { StoreApi } from "zustand/vanilla";
import { asQuantError, QuantError } from "../errors";
import type { Client } from "../worker/client";
import type { State } from "./state";

export interface Session {
  /** Opens the GPU, or the float64 reference. Never throws: the state says how it went. */
  start(reference: boolean): Promise<void>;
  /** Waits for the calls before it, so the worker is never busy with two. @throws QuantError */
  queue<T>(work: (client: Client) => Promise<T>): Promise<T>;
  /** Calls without waiting in the queue: for `cancel`, `forget`, `liveBytes`, which the worker answers during a job. null when it failed. */
  aside<T>(work: (client: Client) => Promise<T>): Promise<T | null>;
  /** Tells the worker how much GPU memory it may use. */
  limitMemory(): Promise<void>;
  /** Ends the worker and starts another, on the same kind of device. */
  restart(): Promise<void>;
}

/**
 * Where there was a GPU before, drivers are not the matter. After two crashes of its GPU process within two minutes Chromium gives this page none for two
 * minutes, or until it is loaded anew; after three it gives nobody one until it is restarted.
 */
const noOther = (cause: QuantError) =>
  new QuantError(
    "device-lost",
    "the browser gives no other, as after several crashes of its GPU process",
    "Reload the page, or restart the browser if that finds no GPU either; then resume: the blocks that are done are kept.",
    { cause },
  );

/** @param connect starts a worker. @param picksFolders what it is told of the browser. */
export function createSession(store: StoreApi<State>, connect: () => Client, picksFolders: boolean): Session {
  let client: Client | null = null;
  let tail: Promise<unknown> = Promise.resolve();
  let onReference = false;
  /** A GPU was opened once in the page's life. */
  let hadGpu = false;
  /** Counts restarts: a call that was queued for an earlier worker must not reach this one. */
  let life = 0;

  function noticed(cause: unknown): QuantError {
    const given = asQuantError(cause);
    const error = hadGpu && given.code === "no-webgpu" ? noOther(given) : given;
    if (error.code === "worker-died" || error.code === "device-lost") {
      const outcome = { kind: "none" } as const;
      store.setState((s) => ({ gpu: { ...s.gpu, status: "dead", error: error.flat() }, stream: null, liveBytes: null, outcome }));
    }
    // A worker that lost its device only still has its runs.
    if (error.code === "worker-died") letGoOfRuns();
    return error;
  }

  const letGoOfRuns = () => store.setState((s) => ({ runs: s.runs.map((r) => ({ ...r, held: false })) }));

  const session: Session = {
    queue(work) {
      const mine = life;
      const turn = tail.then(async () => {
        try {
          if (mine !== life) throw new QuantError("worker-died", "it was restarted");
          if (!client) client = connect();
          return await work(client);
        } catch (cause) {
          throw mine === life ? noticed(cause) : asQuantError(cause);
        }
      });
      tail = turn.catch(() => {});
      return turn;
    },

    async aside(work) {
      return client ? work(client).catch(() => null) : null;
    },

    async start(reference) {
      onReference = reference;
      store.setState({ gpu: { status: "starting", facts: null, error: null } });
      try {
        const facts = await session.queue((c) => c.call("init", reference, picksFolders));
        if (store.getState().gpuMemory !== null) await session.limitMemory();
        hadGpu = true;
        store.setState({ gpu: { status: "ready", facts, error: null } });
      } catch (cause) {
        const error = asQuantError(cause).flat();
        store.setState({ gpu: { status: store.getState().gpu.status === "dead" ? "dead" : "missing", facts: null, error } });
      }
    },

    async limitMemory() {
      await session.queue((c) => {
        const { gpuMemory } = store.getState();
        return c.call("limitMemory", gpuMemory && gpuMemory * 2 ** 30);
      });
    },

    async restart() {
      life++;
      client?.close();
      client = null;
      tail = Promise.resolve();
      letGoOfRuns();
      await session.start(onReference);
    },
  };
  return session;
}
