/**
 * The page on the real engine and its reference, brought into every state: npx vite, then /tests/ui/harness/?state=… What the page is told may be held back,
 * or changed on its way, where a state is hard to come by.
 */
import { createRoot } from "react-dom/client";
import { QuantError } from "../../../src/errors";
import type { RunEvent } from "../../../src/results/events";
import type { ModelSummary } from "../../../src/results/model";
import { createStudio } from "../../../src/store/studio";
import { App } from "../../../src/ui/App";
import "../../../src/ui/tokens.css";
import "../../../src/ui/base.css";
import { StudioContext } from "../../../src/ui/studio";
import { type Client, startClient } from "../../../src/worker/client";
import type { StudioApi } from "../../../src/worker/protocol";

const state = new URLSearchParams(location.search).get("state") ?? "live";

interface Scene {
  /** Calls that fail so, without reaching the engine. */
  fail?: Partial<Record<keyof StudioApi, QuantError>>;
  /** A run fails so after this many blocks. */
  failAfter?: { blocks: number; error: QuantError };
  model?: Partial<ModelSummary>;
  notes?: { level: "info" | "warning"; message: string }[];
}

const states: Record<string, Scene> = {
  "no-gpu": { fail: { init: new QuantError("no-webgpu", "the browser offers no navigator.gpu", "Use a browser with WebGPU.") } },
  failed: {
    failAfter: {
      blocks: 4,
      error: new QuantError("device-lost", "in block 5 of 12", "Run it again; if it happens again, close other tabs that use the GPU."),
    },
  },
  "bad-file": {
    fail: {
      openDemo: new QuantError(
        "truncated",
        "model-00002-of-00002.safetensors: the header says 728,408 bytes, the file has 512,000",
        "Download it again.",
      ),
    },
  },
  crash: { fail: { run: new QuantError("worker-died", "out of memory", "Reload the page; the files you opened are unchanged.") } },
  warnings: {
    model: {
      label: '<img src=x onerror="alert(1)">-a-very-long-folder-name-that-does-not-fit-on-one-line-of-the-panel',
      hasTokenizer: false,
      warnings: [
        "tokenizer.json is missing: calibration needs a file of token ids (.npy).",
        "generation_config.json is missing; the export will have none.",
      ],
    },
    notes: [
      { level: "warning", message: "block 3, down_proj: H + λI was not positive definite; damping tried: 0.01, 0.1; the last one holds." },
    ],
  },
};
const { fail = {}, failAfter, model, notes = [] } = states[state] ?? {};

/** The page is told of so many layers more, and of nothing after them: a picture that stands still. A cancel is still answered. */
let layersLeft = state === "live" ? 10 : Number.POSITIVE_INFINITY;
let cancelled: (error: QuantError) => void = () => {};

type Call = (method: string, ...args: unknown[]) => Promise<unknown>;

function watched(client: Client): Client {
  const real = client.call as unknown as Call;
  const call: Call = (method, ...args) => {
    const failing = fail[method as keyof StudioApi];
    if (failing && !(method === "init" && args[0] === true)) return Promise.reject(failing);
    if (method === "init") return real("init", true, args[1]);
    if (method === "openDemo") return real(method).then((summary) => ({ ...(summary as ModelSummary), ...model }));
    if (method === "cancel") cancelled(new QuantError("cancelled"));
    const last = args.at(-1);
    return typeof last === "function" ? withEvents(method, args.slice(0, -1), last as (event: RunEvent) => void) : real(method, ...args);
  };

  function withEvents(method: string, args: unknown[], listener: (event: RunEvent) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (error: QuantError) => {
        over = true;
        reject(error);
      };
      cancelled = end;
      const hear = (event: RunEvent) => {
        if (over || layersLeft <= 0) return;
        if (event.type === "layer") layersLeft--;
        listener(event);
        if (event.type === "start") for (const note of notes) listener({ type: "log", ...note });
        if (event.type === "block" && method === "run" && failAfter && event.block.index + 1 === failAfter.blocks) end(failAfter.error);
      };
      real(method, ...args, hear).then((value) => layersLeft > 0 && !over && resolve(value), reject);
    });
  }
  return { call: call as Client["call"], close: () => client.close() };
}

const studio = createStudio(() => watched(startClient()));
createRoot(document.getElementById("root")!).render(
  <StudioContext value={studio}>
    <App />
  </StudioContext>,
);

/** Until the page is as the reached state has it. */
const until = (reached: () => boolean) =>
  new Promise<void>((resolve) => {
    const look = () => {
      if (!reached()) return;
      stop();
      resolve();
    };
    const stop = studio.store.subscribe(look);
    look();
  });
const now = studio.store.getState;
const settled = () => until(() => now().job === null && !now().plan.pending && (now().layer.name === null || now().layer.facts !== null));
/** The page has drawn all that it will be told of the run under way: so many blocks. */
const still = (blocks: number) => until(() => layersLeft <= 0 && now().runs.at(-1)?.blocks.length === blocks);

/** Holds the next run up after a share of its blocks and some layers of the one that follows. */
function holdAfter(share: number, layers: number): number {
  const blocks = Math.floor(share * now().model.summary!.blocks);
  layersLeft = 7 * blocks + layers;
  return blocks;
}

async function play() {
  await studio.start();
  if (["empty", "no-gpu"].includes(state)) return;
  await studio.openDemo();
  // Few tokens: a run takes a moment.
  studio.editRecipe({ calibration: { windows: 4, windowLength: 32 } });
  studio.editEvaluation({ windows: 4 });
  studio.editTasks({ limit: 8 });
  if (state === "group-size") studio.editRecipe({ groupSize: 128 });
  if (state === "too-short") studio.chooseCalibration({ kind: "pasted", pasted: "" });
  await settled();
  if (["live", "opened", "bad-file", "group-size", "too-short"].includes(state)) return;
  if (state === "running") {
    const blocks = holdAfter(5 / 12, 5);
    studio.run();
    return still(blocks);
  }
  await studio.run();
  if (["one", "failed", "crash"].includes(state)) return;
  await studio.addPartner("base");
  if (state === "pair") return;
  await settled();
  if (["layer", "dragged", "dragging"].includes(state)) studio.chooseLayer("model.layers.3.self_attn.o_proj");
  await settled();
  if (state === "layer") return;
  if (state === "dragged" || state === "dragging") {
    studio.editRecipe({ qep: { alpha: 0.8 } });
    await settled();
    if (state === "dragged") return;
    const blocks = holdAfter(7 / 12, 1);
    studio.editRecipe({ qep: { alpha: 0.35 } });
    return still(blocks);
  }
  await studio.measure();
  if (state === "measured") return;
  if (state === "scored") return studio.score();
  if (state === "texts") {
    const text = await (await fetch("/demo/evaluation.jsonl")).blob();
    const own = { kind: "file", pasted: "", file: new File([text], "a-text-of-my-own-with-a-long-name.jsonl") } as const;
    studio.chooseCalibration(own);
    await studio.run();
    studio.editEvaluation({ text: own, calibrationToo: true });
    return studio.measure();
  }
  await studio.exportRun({ kind: "zip", name: "QEP-demo-rtn-3bit-qep-0.5" });
  if (state === "many") {
    studio.setLive(false);
    for (const alpha of [0.25, 0.75, 1]) {
      studio.editRecipe({ qep: { alpha } });
      await studio.run();
    }
  }
}

play().then(() => document.body.setAttribute("data-played", ""));
