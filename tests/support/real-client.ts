/**
 * The page's client over the real engine: the worker's own studio in this process, on the float64 reference and a tiny demo. Everything
 * between them is copied as between a page and its worker. A test may hold the engine where it wants to look, or make it fail there.
 */
import * as Comlink from "comlink";
import { vi } from "vitest";
import type { QuantError } from "../../src/errors";
import type { Ops } from "../../src/ops/ops";
import type { RunEvent } from "../../src/results/events";
import type { RunReport } from "../../src/results/report";
import { type Client, connect } from "../../src/worker/client";
import type { StudioApi } from "../../src/worker/protocol";
import { FakeDirectory } from "../io/fake-directory";
import { tinyDemo } from "./tiny-demo";

type Matches = (event: RunEvent) => boolean;

export interface RealClient extends Client {
  /** Methods in the order they were called; liveBytes is left out. */
  calls: string[];
  /** α of the runs that were started. */
  alphas: number[];
  /** What the engine answered to them. */
  reports: RunReport[];
  /** What the engine said, with the outcome of every job. */
  events: RunEvent[];
  /** The engine stands still after the first such event, until `release` or a cancel, as if the device took its time. */
  holdAfter(matches: Matches): void;
  release(): void;
  readonly held: boolean;
  /** The device fails after the first such event. */
  failAfter(matches: Matches, error: QuantError): void;
  /** Calls of these methods fail so, without reaching the engine. */
  fail: Partial<Record<keyof StudioApi, QuantError>>;
  /** The worker's script dies. */
  die(message: string): void;
}

/** Where in the engine a client may step in: before every wait for the device. */
class Gate {
  private hold: Matches = () => false;
  private fail: { matches: Matches; error: QuantError } | null = null;
  private failure: QuantError | null = null;
  private waiting: Promise<void> | null = null;
  private open: () => void = () => {};

  get held(): boolean {
    return this.waiting !== null;
  }

  holdAfter(matches: Matches): void {
    this.hold = matches;
  }

  failAfter(matches: Matches, error: QuantError): void {
    this.fail = { matches, error };
  }

  seen(event: RunEvent): void {
    if (this.fail?.matches(event)) {
      this.failure = this.fail.error;
      this.fail = null;
    }
    if (!this.hold(event)) return;
    this.hold = () => false;
    this.waiting = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  release(): void {
    this.hold = () => false;
    this.waiting = null;
    this.open();
  }

  async pass(): Promise<void> {
    await this.waiting;
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }
}

/** The gate of the client that is opening its device. */
let opening = new Gate();
vi.doMock("../../src/ops/cpu", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/ops/cpu")>();
  return {
    ...original,
    createCpuOps(): Ops {
      const ops = original.createCpuOps();
      const gate = opening;
      return Object.create(ops, {
        read: { value: async (...args: Parameters<Ops["read"]>) => gate.pass().then(() => ops.read(...args)) },
        readUints: { value: async (...args: Parameters<Ops["readUints"]>) => gate.pass().then(() => ops.readUints(...args)) },
        flush: { value: async () => gate.pass().then(() => ops.flush()) },
      });
    },
  };
});

// What a worker finds around it.
const served = tinyDemo();
let disk = new FakeDirectory("origin");
vi.stubGlobal("self", { location: { href: "http://studio.test/" } });
vi.stubGlobal("navigator", { storage: { getDirectory: async () => disk.handle } });
vi.stubGlobal("fetch", async (url: string) => {
  const content = served.get(new URL(url).pathname.replace("/demo/", ""));
  return content ? new Response(content as Uint8Array<ArrayBuffer>) : new Response(null, { status: 404 });
});
const { createApi } = await import("../../src/worker/studio");

// Tests bring their own clock; what crosses the boundary keeps the real one.
const { setImmediate, setTimeout } = globalThis;

/** A copy as the boundary makes it. Files and folders cross as they are, which Node's structuredClone cannot do; so do ports. */
function copied(value: unknown): unknown {
  if (value instanceof File || value instanceof FakeDirectory || value instanceof MessagePort) return value;
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, copied(part)]));
  return structuredClone(value);
}

/** One side of the boundary. */
class Side extends EventTarget {
  peer: Side | null = null;
  postMessage(message: unknown): void {
    const data = copied(message);
    setImmediate(() => this.peer?.dispatchEvent(Object.assign(new Event("message"), { data })));
  }
  start(): void {}
  terminate(): void {
    if (this.peer) this.peer.peer = null;
    this.peer = null;
  }
}

/** There is no WebGPU here: whoever asks for it gets the reference, unless `gpu` is false. `later`: on the disk that the page before left. */
export function realClient({ gpu = true, later = false } = {}): RealClient {
  const gate = new Gate();
  if (!later) disk = new FakeDirectory("origin");
  const api = createApi();
  const calls: string[] = [];
  const alphas: number[] = [];
  const reports: RunReport[] = [];
  const events: RunEvent[] = [];
  const heard = (listener: (e: RunEvent) => void) => (event: RunEvent) => {
    events.push(event);
    gate.seen(event);
    listener(event);
  };
  const watched: StudioApi = {
    ...api,
    init(reference, picksFolders) {
      opening = gate;
      return api.init(reference || gpu, picksFolders);
    },
    async run(request, listener) {
      const reply = await api.run(request, heard(listener));
      if (reply.ok) reports.push(reply.value);
      return reply;
    },
    resume: (id, listener) => api.resume(id, heard(listener)),
    measure: (request, listener) => api.measure(request, heard(listener)),
    measureModel: (request, listener) => api.measureModel(request, heard(listener)),
    measureAgainst: (request, original, listener) => api.measureAgainst(request, original, heard(listener)),
    scoreTasks: (request, listener) => api.scoreTasks(request, heard(listener)),
    exportRun: (id, target, listener) => api.exportRun(id, target, heard(listener)),
    async cancel() {
      await api.cancel();
      gate.release();
    },
  };
  const [page, worker] = [new Side(), new Side()];
  [page.peer, worker.peer] = [worker, page];
  Comlink.expose(watched, worker);
  const client = connect(page as unknown as Worker);
  return {
    calls,
    alphas,
    reports,
    events,
    fail: {},
    holdAfter: (matches) => gate.holdAfter(matches),
    release: () => gate.release(),
    get held() {
      return gate.held;
    },
    failAfter: (matches, error) => gate.failAfter(matches, error),
    die: (message) => page.dispatchEvent(Object.assign(new Event("error"), { message })),
    async call(method, ...args) {
      if (method !== "liveBytes") calls.push(method === "init" ? `init(${args[0]})` : method);
      if (method === "run") alphas.push((args[0] as Parameters<StudioApi["run"]>[0]).recipe.qep.alpha);
      const failing = this.fail[method];
      if (failing) throw failing;
      return client.call(method, ...args);
    },
    close: () => client.close(),
  };
}

/** Lets page and engine work, and their clock run, until a test's moment has come. */
export async function until(reached: () => boolean, what = reached.toString()): Promise<void> {
  for (let turns = 0; !reached(); turns++) {
    if (turns > 60_000) throw new Error(`never came: ${what}`);
    if (vi.isFakeTimers()) await vi.advanceTimersByTimeAsync(20);
    // What other threads do (digests) takes no turns of ours: on a busy machine they are waited for.
    await new Promise<void>((resolve) => (turns < 1000 ? setImmediate(resolve) : setTimeout(resolve, 1)));
  }
}

/** Lets that much of the clock pass. For what must not happen. */
export async function pass(ms: number): Promise<void> {
  const end = Date.now() + ms;
  await until(() => Date.now() >= end);
}
