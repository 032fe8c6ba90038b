/** All that the page knows, as plain data: the other files of this folder change it, and ui/ shows it. */
import type { FlatError } from "../errors";
import { defaultRecipe, type Recipe } from "../recipe/recipe";
import type { AdapterFacts } from "../results/adapter";
import type { LayerFacts } from "../results/facts";
import type { InterruptedRun } from "../results/interrupted";
import type { Comparison, Evaluation, Perplexity, TasksResult } from "../results/measures";
import type { ModelSummary } from "../results/model";
import type { PlanSummary } from "../results/plan";
import type { BlockReport, LayerReport } from "../results/report";
import type { Verification } from "../results/verification";
import type { ExportSummary } from "../worker/protocol";
import { demoText, type TextChoice } from "./texts";

export interface GpuState {
  /** `missing`: no adapter, the CPU reference is on offer. `dead`: the worker or its GPU is gone, a restart is on offer. */
  status: "starting" | "ready" | "missing" | "dead";
  facts: AdapterFacts | null;
  error: FlatError | null;
}

export interface ModelState {
  summary: ModelSummary | null;
  /** The name of what is being opened now, or null. An open model stays open until the next one has opened. */
  opening: string | null;
  error: FlatError | null;
  /** Perplexities of the open checkpoint itself, where it is quantized already. */
  measured: { key: string; textLabel: string; result: Perplexity }[];
  /** The open checkpoint beside others that it was made of. */
  compared: Compared[];
  scored: Scored[];
  /** The open model is the demo, whose tasks come with the page. */
  demo: boolean;
}

export interface PlanState {
  pending: boolean;
  summary: PlanSummary | null;
  error: FlatError | null;
}

export interface LogLine {
  /** Counts up; also the order. */
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  level: "info" | "warning" | "error";
  /** Number of the run it is about. */
  run: number | null;
  message: string;
}

export interface Measured {
  /** Key of the settings it was measured with: see `measureKey`. */
  key: string;
  textLabel: string;
  /** The text is the one that the run was calibrated on. */
  own: boolean;
  evaluation: Evaluation;
}

export interface Compared {
  /** What it was compared with. */
  original: string;
  textLabel: string;
  result: Comparison;
}

export interface Scored {
  /** Key of the questions: see `tasksKey`. */
  key: string;
  label: string;
  result: TasksResult;
}

export interface TaskSettings {
  kind: "demo" | "file";
  /** Kept while the demo's tasks are chosen. */
  file: File | null;
  /** At most this many questions, counting from the first; null: all. */
  limit: number | null;
}

/** A run as the page shows it: what was asked for, what came of it, and what was measured. */
export interface Run {
  id: string;
  /** Counts from 1, for people. */
  number: number;
  /** Index of its colour and dash. */
  slot: number;
  /** What the person calls it; null: its recipe's title. */
  name: string | null;
  recipe: Recipe;
  text: TextChoice;
  status: "running" | "done" | "cancelled" | "failed";
  totalBlocks: number;
  quantizedBlocks: number;
  blocks: BlockReport[];
  layers: LayerReport[];
  ms: number | null;
  /** The part of `ms` spent on the full-precision stream; 0 where an earlier run's was used. */
  streamMs: number;
  peakGpuBytes: number | null;
  /** Bytes of the files that an export would write. */
  bytesOut: number | null;
  error: FlatError | null;
  /** One per text: measuring on a second text adds an entry. */
  measured: Measured[];
  scored: Scored[];
  exported: { name: string; summary: ExportSummary } | null;
  /** The worker still has its quantized weights. */
  held: boolean;
  /** Not drawn in the chart. */
  hidden: boolean;
  /** Made by dragging α, and not kept: listed only while it is `live.shown`. */
  dragged: boolean;
}

/** The job under way. There is one at a time. */
export interface Job {
  kind: "run" | "measure" | "score" | "export" | "check";
  /** "": the open checkpoint itself is measured or scored, or files are checked. */
  runId: string;
  /** 0…1 over the whole job. */
  fraction: number;
  where: string;
  startedAt: number;
  /** Advances with every update, so that time left can be shown from state alone. */
  now: number;
  /** The plan's estimate, before there is a rate. */
  expectedSeconds: number | null;
  cancelling: boolean;
  /** The job is at run number `part` of the `parts` runs that it measures or scores. */
  part: number;
  parts: number;
  /** A run that dragging α started, and that the next α may interrupt. */
  live: boolean;
}

/** The runs that follow the α slider; all ids are of runs. */
export interface LiveState {
  on: boolean;
  /** The run that follows the slider. */
  shown: string | null;
  /** The finished run whose curve fades while the new one grows over it. */
  under: string | null;
}

export interface LayerState {
  /** The chosen layer. */
  name: string | null;
  /** Of the chosen layer in the selected run, once the worker has answered. */
  facts: { key: string; value: LayerFacts | null; error: FlatError | null } | null;
}

/** How the last thing the person asked for ended. */
export type JobOutcome =
  | { kind: "none" }
  | { kind: "opened"; label: string }
  | { kind: "ran"; runId: string; ms: number }
  | { kind: "recalled"; runId: string }
  | { kind: "notice"; message: string }
  | { kind: "measured"; runs: number; ms: number }
  | { kind: "compared"; original: string; ms: number }
  | { kind: "scored"; runs: number; ms: number }
  | { kind: "exported"; name: string; files: number; bytes: number; zip: boolean }
  | { kind: "checked"; label: string; passed: boolean }
  | { kind: "cancelled"; what: Job["kind"] | "live" }
  | { kind: "failed"; error: FlatError };

export interface EvaluationSettings {
  text: TextChoice;
  /** Also on each run's own calibration windows. */
  calibrationToo: boolean;
  /** null: all windows. */
  windows: number | null;
}

export interface State {
  gpu: GpuState;
  /** The most GPU memory that the page may use, in GiB; null: as much as there is. */
  gpuMemory: number | null;
  model: ModelState;
  recipe: Recipe;
  /** The person set the bits, so opening a model leaves them alone. */
  bitsChosen: boolean;
  /** What of the rules as they stand in their field cannot be read. The recipe has the rules of before, which are not to be run. */
  rulesFault: string | null;
  calibration: TextChoice;
  plan: PlanState;
  runs: Run[];
  selected: string | null;
  job: Job | null;
  outcome: JobOutcome;
  evaluation: EvaluationSettings;
  tasks: TaskSettings;
  /** The text and windows whose full-precision stream the worker keeps: see `streamKey`. */
  stream: string | null;
  live: LiveState;
  /** Runs of the open checkpoint that can be resumed. */
  interrupted: InterruptedRun[];
  layer: LayerState;
  /** What the last check of files found. */
  verification: Verification | null;
  log: LogLine[];
  /** Alive on the GPU now; null: not known. */
  liveBytes: number | null;
}

export const initialState: State = {
  gpu: { status: "starting", facts: null, error: null },
  gpuMemory: null,
  model: { summary: null, opening: null, error: null, measured: [], compared: [], scored: [], demo: false },
  recipe: { ...defaultRecipe, calibration: { ...defaultRecipe.calibration, windows: 32 } },
  bitsChosen: false,
  rulesFault: null,
  calibration: demoText,
  plan: { pending: false, summary: null, error: null },
  runs: [],
  selected: null,
  job: null,
  outcome: { kind: "none" },
  evaluation: { text: demoText, windows: 32, calibrationToo: false },
  tasks: { kind: "file", file: null, limit: 100 },
  stream: null,
  live: { on: true, shown: null, under: null },
  interrupted: [],
  layer: { name: null, facts: null },
  verification: null,
  log: [],
  liveBytes: null,
};
