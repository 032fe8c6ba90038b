/** The page on a fake client, for looking at every state: npx vite, then /tests/ui/harness/?state=… */
import { createRoot } from "react-dom/client";
import { QuantError } from "../../../src/errors";
import { createStudio } from "../../../src/store/studio";
import { App } from "../../../src/ui/App";
import "../../../src/ui/tokens.css";
import "../../../src/ui/base.css";
import { StudioContext } from "../../../src/ui/studio";
import figures from "../../fixtures/oracle/figures.json";
import { createFake, type FakeOptions, type Figures } from "../../store/fake-client";

const state = new URLSearchParams(location.search).get("state") ?? "live";
/** Milliseconds between two events; Infinity: nothing more happens. */
const pace = 0;
const later = (ms: number) => new Promise<void>((resolve) => Number.isFinite(ms) && setTimeout(resolve, ms));
const slow = { pause: () => later(60) };
const paced = { pause: () => (pace ? later(pace) : Promise.resolve()) };
/** Nothing more happens once the run has told so many layers: a picture that stands still. */
let stopAfter = Number.POSITIVE_INFINITY;
const stopping = { pause: () => later(stopAfter-- > 0 ? 0 : Number.POSITIVE_INFINITY) };

const options: Record<string, FakeOptions> = {
  live: slow,
  running: stopping,
  dragging: stopping,
  dragged: paced,
  "no-gpu": { gpu: new QuantError("no-webgpu", "the browser offers no navigator.gpu", "Use a browser with WebGPU.") },
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

const studio = createStudio(() => createFake(figures as unknown as Figures, options[state] ?? {}));
createRoot(document.getElementById("root")!).render(
  <StudioContext value={studio}>
    <App />
  </StudioContext>,
);

const settled = () => new Promise((resolve) => setTimeout(resolve, 400));

async function play() {
  await studio.start();
  if (["empty", "no-gpu", "live"].includes(state)) return;
  await studio.openDemo();
  if (state === "group-size") studio.editRecipe({ groupSize: 128 });
  if (state === "too-short") studio.chooseCalibration({ kind: "pasted", pasted: "" });
  await settled();
  if (["opened", "bad-file", "group-size", "too-short"].includes(state)) return;
  if (state === "running") {
    stopAfter = 40;
    studio.run();
    await later(1500);
    return;
  }
  await studio.run();
  if (["one", "failed", "crash"].includes(state)) return;
  await studio.addPartner("base");
  if (state === "pair") return;
  await settled();
  if (["layer", "dragged", "dragging"].includes(state)) studio.chooseLayer("model.layers.3.self_attn.o_proj");
  if (state === "layer") return settled();
  if (state === "dragged" || state === "dragging") {
    studio.editRecipe({ qep: { alpha: 0.8 } });
    while (studio.store.getState().job) await later(50);
    if (state === "dragged") return;
    stopAfter = 50;
    studio.editRecipe({ qep: { alpha: 0.35 } });
    await later(1500);
    return;
  }
  await studio.measure();
  if (state === "measured") return;
  if (state === "scored") return studio.score();
  if (state === "texts") {
    const text = { kind: "file", pasted: "", file: new File(["words"], "a-text-of-my-own-with-a-long-name.txt") } as const;
    studio.chooseCalibration(text);
    await studio.run();
    studio.editEvaluation({ text, calibrationToo: true });
    return studio.measure();
  }
  await studio.exportRun({ kind: "zip", name: "QEP-demo-rtn-3bit-qep-0.5" });
  if (state === "many") {
    for (const alpha of [0.25, 0.75, 1]) {
      studio.editRecipe({ qep: { alpha } });
      await studio.run();
    }
  }
}

play().then(() => document.body.setAttribute("data-played", ""));
