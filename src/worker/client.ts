import * as Comlink from "comlink";
import { QuantError } from "../errors";
import type { RunEvent } from "../results/events";
import type { Reply } from "../results/reply";
import type { StudioApi } from "./protocol";

type ApiMethod = keyof StudioApi;
type ApiValue<M extends ApiMethod> = Awaited<ReturnType<StudioApi[M]>> extends Reply<infer T> ? T : Awaited<ReturnType<StudioApi[M]>>;

/** The page's side of the worker: replies become values or thrown QuantErrors, and a dead worker rejects every call. */
export interface Client {
  /** Functions among the arguments are proxied. @throws QuantError; `worker-died` when the worker is gone. */
  call<M extends ApiMethod>(method: M, ...args: Parameters<StudioApi[M]>): Promise<ApiValue<M>>;
  /** Ends the worker; pending calls reject. */
  close(): void;
}

const restart = "Restart the worker; the files you opened are unchanged.";

/** Comlink never settles the calls of a worker that died (its issues 463, 524, 601), so each call races against the worker's death. */
export function connect(worker: Worker): Client {
  const remote = Comlink.wrap<StudioApi>(worker);
  let die: (e: QuantError) => void = () => {};
  const death = new Promise<never>((_, reject) => {
    die = reject;
  });
  death.catch(() => {});
  worker.addEventListener("error", (e) => die(new QuantError("worker-died", e.message ?? "", restart)));
  worker.addEventListener("messageerror", () => die(new QuantError("worker-died", "a message could not be read", restart)));

  return {
    async call(method, ...args) {
      const listeners = args.filter((a) => typeof a === "function").map((a) => hear(a as (event: RunEvent) => void));
      let next = 0;
      const passed = args.map((a) => (typeof a === "function" ? Comlink.proxy(listeners[next++].listen) : a));
      const invoke = remote[method] as unknown as (...a: unknown[]) => Promise<unknown>;
      const reply = await Promise.race([invoke(...passed), death]);
      await Promise.race([Promise.all(listeners.map((l) => l.ended)), death]);
      return unwrap(reply) as never;
    },
    close() {
      worker.terminate();
      die(new QuantError("worker-died", "it was closed", restart));
    },
  };
}

/** Events come through a separate port, so a reply may overtake the last of them: a call resolves only after its job's end event. */
function hear(listener: (event: RunEvent) => void): { listen(event: RunEvent): void; ended: Promise<void> } {
  let end: () => void;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    listen(event) {
      listener(event);
      if (event.type === "end") end();
    },
    ended,
  };
}

function unwrap(reply: unknown): unknown {
  if (typeof reply !== "object" || reply === null || !("ok" in reply)) return reply;
  const r = reply as Reply<unknown>;
  if (r.ok) return r.value;
  throw QuantError.fromFlat(r.error);
}

/** Starts the real worker. */
export function startClient(): Client {
  return connect(new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "qep-engine" }));
}
