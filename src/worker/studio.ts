import { Engine } from "../engine/engine";
import type { GivenText, WindowsOfRun } from "../engine/tokens";
import { asQuantError, givenAs, QuantError } from "../errors";
import { blobFile } from "../io/browser";
import { httpSource } from "../io/http";
import { bytesFile } from "../io/memory";
import { opfsZip, removeLeftZips } from "../io/opfs";
import { directorySink } from "../io/sinks";
import type { SourceFile } from "../io/types";
import { readQuestions } from "../model/tasks";
import type { RunEvent } from "../results/events";
import type { Reply } from "../results/reply";
import { checkFiles } from "./checking";
import { sourceOfGiven } from "./given";
import { workerHelper } from "./helper";
import { webPlatform } from "./platform";
import type { ExportTarget, StudioApi, TaskSource, TextSource } from "./protocol";

const demoFiles = [
  "config.json",
  "model.safetensors.index.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];
// In a build the worker is in assets/, beside demo/; under the dev server it is in src/worker/.
const demoBase = new URL(import.meta.env.DEV ? "/demo/" : "../demo/", self.location.href).href;

/** The worker's side of the protocol: turns calls into jobs of one engine, and failures into values. It decides nothing itself. */
export function createApi(): StudioApi {
  let engine: Engine | null = null;
  let job: AbortController | null = null;

  function opened(): Engine {
    if (!engine) throw new QuantError("no-webgpu", "the GPU was not opened");
    return engine;
  }

  /** Runs one job at a time, with a signal that `cancel` aborts. */
  async function alone<T>(work: (signal: AbortSignal) => Promise<T>): Promise<Reply<T>> {
    if (job) return { ok: false, error: new QuantError("busy", "", "Wait for it, or cancel it.").flat() };
    job = new AbortController();
    try {
      const { signal } = job;
      return await answered(() => work(signal));
    } finally {
      job = null;
    }
  }

  /** As `alone`, with the engine. */
  const exclusive = <T>(work: (engine: Engine, signal: AbortSignal) => Promise<T>) => alone((signal) => work(opened(), signal));

  /** A last event that says how the job ended. */
  async function ending<T>(onEvent: (e: RunEvent) => void, replied: Promise<Reply<T>>): Promise<Reply<T>> {
    const reply = await replied;
    const failure = reply.ok || reply.error.code !== "cancelled" ? "failed" : "cancelled";
    onEvent({ type: "end", outcome: reply.ok ? "done" : failure });
    return reply;
  }

  /** As `exclusive`, with an end event. */
  const withEndEvent = <T>(onEvent: (e: RunEvent) => void, work: (engine: Engine, signal: AbortSignal) => Promise<T>) =>
    ending(onEvent, exclusive(work));

  return {
    async init(reference, picksFolders) {
      return answered(async () => {
        await engine?.close();
        engine = null;
        await removeLeftZips();
        const started = new Engine(webPlatform(reference, picksFolders));
        const { ops } = await started.start();
        engine = started;
        return ops.adapter;
      });
    },
    limitMemory: (bytes) =>
      exclusive(async (e) => {
        e.limitMemory(bytes);
        return null;
      }),
    openDemo: () => exclusive(async (e) => e.open(await httpSource("QEP demo", new URL("model/", demoBase).href, demoFiles))),
    openFiles: (given) => exclusive(async (e) => e.open(await sourceOfGiven(given))),
    plan: (recipe, text) => exclusive(async (e, signal) => e.plan(recipe, await givenText(text, "calibration"), signal)),
    exportBytes: (recipe) => exclusive((e) => e.exportBytes(recipe)),
    interrupted: () => exclusive(async (e) => e.interrupted()),
    run: ({ calibration, ...order }, onEvent) =>
      withEndEvent(onEvent, async (e, signal) => e.run({ ...order, text: await givenText(calibration, "calibration") }, onEvent, signal)),
    resume: (runId, onEvent) => withEndEvent(onEvent, (e, signal) => e.resume(runId, onEvent, signal)),
    measure: ({ runId, text, use, ...cutting }, onEvent) =>
      withEndEvent(onEvent, async (e, signal) => e.measure(runId, await givenText(text, use), cutting, onEvent, signal)),
    measureModel: ({ text, use, runId: _, ...cutting }, onEvent) =>
      withEndEvent(onEvent, async (e, signal) => e.measureModel((await givenText(text, use)) as GivenText, cutting, onEvent, signal)),
    measureAgainst: ({ text, use, runId: _, ...cutting }, original, onEvent) =>
      withEndEvent(onEvent, async (e, signal) =>
        e.measureAgainst(await sourceOfGiven(original), (await givenText(text, use)) as GivenText, cutting, onEvent, signal),
      ),
    scoreTasks: ({ runId, tasks, limit }, onEvent) =>
      withEndEvent(onEvent, async (e, signal) => {
        const questions = await givenAs("text", async () => readQuestions(await taskFile(tasks), workerHelper(signal).parquet));
        return e.scoreTasks(runId, limit === null ? questions : questions.slice(0, limit), onEvent, signal);
      }),
    exportRun: (runId, target, onEvent) => withEndEvent(onEvent, (e, signal) => exportTo(e, runId, target, onEvent, signal)),
    checkFiles: (request, onEvent) =>
      ending(
        onEvent,
        alone((signal) => checkFiles(request, request.beside ? (engine?.original ?? null) : null, onEvent, signal)),
      ),
    // Reads files and finished runs only, so it may be asked while a job runs.
    layerFacts: (runId, name) => answered(async () => opened().layerFacts(runId, name)),
    async cancel() {
      job?.abort();
    },
    async forget(runId) {
      await engine?.forget(runId);
    },
    async liveBytes() {
      return engine?.liveBytes ?? 0;
    },
  };
}

/** The result or failure of some work, as a value that can cross to the page intact. */
async function answered<T>(work: () => Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (e) {
    return { ok: false, error: asQuantError(e).flat() };
  }
}

/** A text as a file: the demo's own, the person's, or what they pasted. */
async function givenText(text: TextSource, use: "calibration" | "evaluation"): Promise<GivenText | WindowsOfRun> {
  if (text.kind === "run") return { ofRun: text.runId };
  if (text.kind === "file") return { file: givenFile(text.file), field: text.field };
  if (text.kind === "text") return { file: bytesFile("pasted text", text.text) };
  return { file: (await httpSource("demo texts", demoBase, [`${use}.jsonl`])).files[0], label: `demo ${use} text` };
}

/** Wraps a file so that its read errors are about the text, wherever they occur. */
function givenFile(file: File): SourceFile {
  const source = blobFile(file);
  return { ...source, read: (start, end) => givenAs("text", () => source.read(start, end)) };
}

const taskFile = async (tasks: TaskSource): Promise<SourceFile> =>
  tasks.kind === "file" ? blobFile(tasks.file) : (await httpSource("demo tasks", demoBase, ["tasks.jsonl"])).files[0];

async function exportTo(engine: Engine, runId: string, target: ExportTarget, onEvent: (e: RunEvent) => void, signal: AbortSignal) {
  if (target.kind === "folder") {
    const sink = await directorySink(target.handle, target.name);
    return { ...(await engine.export(runId, sink, onEvent, signal)), zip: null };
  }
  const zip = await opfsZip(target.name);
  const written = await engine.export(runId, zip.sink, onEvent, signal);
  return { ...written, zip: { file: await zip.file(), lock: zip.lock } };
}
