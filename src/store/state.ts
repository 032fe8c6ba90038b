/** All that the page knows. Plain data; the functions beside it change it, the ui shows it. */
import type { FlatError } from "../errors";
import { defaultRecipe, type Recipe } from "../recipe/recipe";
import type {
  BlockReport,
  Evaluation,
  ExportSummary,
  GpuFacts,
  LayerReport,
  ModelSummary,
  Perplexity,
  PlanSummary,
} from "../worker/protocol";
import { demoText, type TextChoice } from "./texts";

export interface GpuState {
  /** `missing`: no adapter, the CPU reference is on offer. `dead`: the worker or its GPU is gone, a restart is on offer. */
  status: "starting" | "ready" | "missing" | "dead";
  facts: GpuFacts | null;
  error: FlatError | null;
}

export interface ModelState {
  summary: ModelSummary | null;
  /** What is being opened now. A model that is open stays until the next one has opened. */
  opening: string | null;
  error: FlatError | null;
  /** Of the open checkpoint itself, for one that is quantized already. */
  measured: { key: string; textLabel: string; result: Perplexity } | null;
}

export interface PlanState {
  pending: boolean;
  summary: PlanSummary | null;
  error: FlatError | null;
}

export interface Note {
  level: "info" | "warning";
  message: string;
}

export interface Measured {
  /** Of the settings it was measured with: see `measureKey`. */
  key: string;
  textLabel: string;
  evaluation: Evaluation;
}

export interface Run {
  id: string;
  /** Counts from 1, for people. */
  number: number;
  /** Index of its colour and dash. */
  slot: number;
  recipe: Recipe;
  text: TextChoice;
  status: "running" | "done" | "cancelled" | "failed";
  totalBlocks: number;
  quantizedBlocks: number;
  blocks: BlockReport[];
  layers: LayerReport[];
  notes: Note[];
  ms: number | null;
  /** It was spared the full-precision stream, so its time does not compare with a run that was not. */
  streamKept: boolean;
  error: FlatError | null;
  measured: Measured | null;
  exported: { name: string; summary: ExportSummary } | null;
  /** The worker still has its quantized weights. */
  held: boolean;
}

export interface Job {
  kind: "run" | "measure" | "export";
  /** "": the open checkpoint itself is measured. */
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
  /** Of several runs measured in one job. */
  part: number;
  parts: number;
}

/** What the last thing the person asked for came to. */
export type Outcome =
  | { kind: "none" }
  | { kind: "opened"; label: string }
  | { kind: "ran"; runId: string; ms: number }
  | { kind: "measured"; runs: number; ms: number }
  | { kind: "exported"; name: string; files: number; bytes: number; zip: boolean }
  | { kind: "cancelled"; what: Job["kind"] }
  | { kind: "failed"; error: FlatError };

export interface EvaluationSettings {
  text: TextChoice;
  /** null: all windows. */
  windows: number | null;
}

export interface State {
  gpu: GpuState;
  model: ModelState;
  recipe: Recipe;
  /** The person set the bits, so opening a model leaves them alone. */
  bitsChosen: boolean;
  calibration: TextChoice;
  plan: PlanState;
  runs: Run[];
  selected: string | null;
  job: Job | null;
  outcome: Outcome;
  evaluation: EvaluationSettings;
}

export const initialState: State = {
  gpu: { status: "starting", facts: null, error: null },
  model: { summary: null, opening: null, error: null, measured: null },
  recipe: { ...defaultRecipe, calibration: { ...defaultRecipe.calibration, windows: 32 } },
  bitsChosen: false,
  calibration: demoText,
  plan: { pending: false, summary: null, error: null },
  runs: [],
  selected: null,
  job: null,
  outcome: { kind: "none" },
  evaluation: { text: demoText, windows: 16 },
};
