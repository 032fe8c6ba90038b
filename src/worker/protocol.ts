/** What crosses between page and worker, and what a run tells while it goes: plain data. A leaf: anyone may import it. */
import type { FlatError } from "../errors";
import type { MethodId, Recipe } from "../recipe/recipe";

/** Comlink keeps only an Error's message, so failures travel as values. */
export type Reply<T> = { ok: true; value: T } | { ok: false; error: FlatError };

export interface GpuFacts {
  kind: "cpu" | "gpu";
  description: string;
  /** A software adapter: correct, slow. */
  software: boolean;
  /** Bytes that one buffer may hold, and one binding of it; null on the reference. */
  limits: { buffer: number; binding: number } | null;
}

/** What is known of a checkpoint within a second of opening it, from headers and config alone. */
export interface ModelSummary {
  label: string;
  /** config.json's architecture, e.g. LlamaForCausalLM. */
  architecture: string;
  parameters: number;
  /** Dtypes of the tensors, most bytes first, e.g. ["BF16"]. */
  dtypes: string[];
  blocks: number;
  /** Linear layers that can be quantized. */
  layers: number;
  /** Null for an architecture that cannot be run here: it can only be rounded to nearest, and nothing is measured. */
  shape: {
    hidden: number;
    intermediate: number;
    heads: number;
    kvHeads: number;
    headDim: number;
    vocabulary: number;
    maxPositions: number;
    tied: boolean;
  } | null;
  /** Bytes of all tensors. */
  bytes: number;
  files: number;
  hasTokenizer: boolean;
  /** How the checkpoint is quantized already ("GPTQ 4-bit, …"): it can be measured, not quantized again. null: it is not. */
  packing: string | null;
  /** Sentences on what is missing or odd but does not stop the model from opening. */
  /** How files and settings were read, wherever there was a choice. */
  notes: string[];
  warnings: string[];
}

/** How a progress event's `where` begins while a text is tokenized, before the work that is counted. */
export const tokenizing = "Tokenizing:";

/** Text to tokenize, or ids. `demo`: the texts that come with the demo model. */
export type TextSource = { kind: "demo" } | { kind: "text"; text: string } | { kind: "file"; file: File; field?: string };

export interface PlanSummary {
  /** Bytes of the checkpoint and of the file that would be written. */
  bytesIn: number;
  bytesOut: number;
  /** Bits per quantized weight with its share of scales and zeros, as a packed format stores it. */
  bitsPerWeight: number;
  quantizedWeights: number;
  tokens: number;
  windows: number;
  /** Windows besides, on which α is chosen. */
  heldOutWindows: number;
  peakGpuBytes: number;
  /** Estimate from this adapter's measured rate. */
  seconds: number;
  /** True when the full-precision stream of an earlier run serves this one. */
  streamKept: boolean;
  warnings: string[];
  /** Which clients load the export and which refuse it. */
  notes: string[];
}

/** A layer's relative output error before rounding as a function of α: base − 2·slope·α + curvature·α² (the correction is linear in α). */
export interface AlphaCurve {
  base: number;
  slope: number;
  curvature: number;
}

export interface LayerReport {
  /** Full tensor name without ".weight". */
  name: string;
  /** What the layer is in its block, e.g. q_proj. */
  kind: string;
  block: number;
  method: MethodId;
  bits: number;
  /** α in use: the recipe's, or what the held-out windows chose, or 0 where the solve failed. */
  alpha: number;
  /** ‖WX − ŴX̂‖² / ‖WX‖², before any bias; ‖W − Ŵ‖² / ‖W‖² where nothing was calibrated. */
  relativeError: number;
  /** Damping fractions tried, QEP's solve first, then the method's. Empty: nothing was solved. */
  damping: number[];
  /** How many of them came after a failed attempt. */
  retries: number;
  /** Null where QEP did not look at the layer. */
  curve: AlphaCurve | null;
  /** The same on windows that are in neither H nor C: after rounding, and before it for every α. Null where the recipe holds none out. */
  heldOut: { relativeError: number; curve: AlphaCurve } | null;
  /** The inputs of largest H_jj, with how many times the mean of all inputs that is; empty where H was not needed. */
  outliers: { input: number; times: number }[];
  /** Why the layer fell back (α = 0, or RTN), or null. */
  fallback: string | null;
  /** This layer's share, by weights, of its stage's wall time. */
  ms: number;
}

export interface BlockReport {
  index: number;
  /** Δ_m = ‖h_m − ĥ_m‖²_F over all calibration tokens. */
  delta: number;
  /** Δ_m / ‖h_m‖²_F. */
  relativeDelta: number;
}

/** Laws, tested: progress never falls and its total is constant; blocks come in order; exactly one terminal event ("end"). */
export type RunEvent =
  | { type: "start"; blocks: number; quantizedBlocks: number }
  | { type: "progress"; done: number; total: number; where: string }
  | { type: "layer"; layer: LayerReport }
  | { type: "block"; block: BlockReport }
  | { type: "log"; level: "info" | "warning"; message: string }
  | { type: "end"; outcome: "done" | "cancelled" | "failed" };

/** The report file of the command line (docs/report.schema.json) and of an export. */
export interface RunReport {
  version: string;
  recipe: Recipe;
  adapter: string;
  /** Empty where the architecture cannot be run: nothing was calibrated. */
  blocks: BlockReport[];
  layers: LayerReport[];
  ms: number;
  /** Of these, spent on the full-precision stream: 0 where an earlier run's was kept. */
  streamMs: number;
  peakGpuBytes: number;
}

export interface Evaluation {
  perplexityBefore: number;
  perplexity: number;
  /** Δ_m on the evaluation text, every block. */
  blocks: BlockReport[];
  tokens: number;
  windows: number;
  ms: number;
}

/** Where an export goes: a folder the person chose, or one zip to download. */
export type ExportTarget = { kind: "folder"; handle: FileSystemDirectoryHandle; name: string } | { kind: "zip"; name: string };

export interface ExportSummary {
  files: string[];
  bytes: number;
  /** The zip, backed by the origin's private file system; null for a folder. */
  zip: File | null;
}

export interface RunRequest {
  /** Chosen by the page; names the run in `measure`, `export` and `forget`. */
  id: string;
  recipe: Recipe;
  calibration: TextSource;
}

/** Weights in bins of equal width from `low` to `high`. */
export interface Histogram {
  low: number;
  high: number;
  counts: number[];
}

/** What the page shows of one layer, beside its report. */
export interface LayerFacts {
  name: string;
  /** [out, in] */
  shape: [number, number];
  before: Histogram;
  /** In the same bins; null when the run did not quantize the layer. */
  after: Histogram | null;
}

export interface Perplexity {
  perplexity: number;
  tokens: number;
  windows: number;
}

export interface EvaluationRequest {
  runId: string;
  text: TextSource;
  windowLength: number;
  /** At most this many windows; null: all. */
  windows: number | null;
  /** Draws the windows as a run's calibration does; null: in order. */
  seed: number | null;
  /** Windows that the run held out of its calibration, and that are left out here too. */
  heldOut?: number;
  /** Which of the demo's texts `demo` is. */
  use: "calibration" | "evaluation";
}

/** Questions of multiple choice. `demo`: those that come with the demo model. */
export type TaskSource = { kind: "demo" } | { kind: "file"; file: File };

export interface TasksRequest {
  /** null: the open checkpoint as it is. */
  runId: string | null;
  tasks: TaskSource;
  /** The first so many questions; null: all. */
  limit: number | null;
}

/** Shares of right answers of one kind of question ("all": of every kind), each with its standard error. */
export interface TaskScore {
  kind: string;
  questions: number;
  accuracy: number;
  accuracyError: number;
  /** By log-likelihood over a choice's bytes. */
  normalizedAccuracy: number;
  normalizedAccuracyError: number;
}

/** Two models on the same questions. */
export interface TaskChange {
  kind: string;
  questions: number;
  accuracy: AccuracyChange;
  normalizedAccuracy: AccuracyChange;
}

export interface AccuracyChange {
  before: number;
  after: number;
  /** Standard error of after − before. */
  error: number;
  /** Questions that only the first answers rightly, and only the second. */
  lost: number;
  won: number;
  /** How likely chance alone parts lost and won so far or further (exact McNemar test). */
  chance: number;
}

export interface TasksResult {
  /** Of the checkpoint as it is. */
  scores: TaskScore[];
  /** From the checkpoint to the run; null where no run was asked for. */
  changes: TaskChange[] | null;
}

type Progress = (event: RunEvent) => void;

/** The worker's side. One job at a time: a second one is answered `busy`. Every call can be cancelled with `cancel`. */
export interface StudioApi {
  /** Opens the GPU, or the float64 reference when asked. `no-webgpu` if there is none. */
  init(reference: boolean): Promise<Reply<GpuFacts>>;
  openDemo(): Promise<Reply<ModelSummary>>;
  openFiles(files: File[], label: string): Promise<Reply<ModelSummary>>;
  plan(recipe: Recipe, calibration: TextSource): Promise<Reply<PlanSummary>>;
  run(request: RunRequest, onEvent: Progress): Promise<Reply<RunReport>>;
  measure(request: EvaluationRequest, onEvent: Progress): Promise<Reply<Evaluation>>;
  /** Perplexity of the open checkpoint as it is: for one that is quantized already. `runId` is not looked at. */
  measureModel(request: EvaluationRequest, onEvent: Progress): Promise<Reply<Perplexity>>;
  /** Zero-shot multiple choice. The checkpoint's own answers are kept: the next run is compared with them. */
  scoreTasks(request: TasksRequest, onEvent: Progress): Promise<Reply<TasksResult>>;
  exportRun(runId: string, target: ExportTarget, onEvent: Progress): Promise<Reply<ExportSummary>>;
  /** Shape and weight histograms of a layer, before and after a run. `name` without ".weight". */
  layerFacts(runId: string, name: string): Promise<Reply<LayerFacts>>;
  /** Asks the job under way to stop; it answers `cancelled` within a second. */
  cancel(): Promise<void>;
  /** Drops a run's quantized weights. */
  forget(runId: string): Promise<void>;
  /** Bytes alive on the GPU now. */
  liveBytes(): Promise<number>;
}
