/** The calls that cross between page and worker. Their results are declared in results/. */
import type { GivenFile } from "../io/types";
import type { Recipe } from "../recipe/recipe";
import type { AdapterFacts } from "../results/adapter";
import type { Certificate } from "../results/certificate";
import type { RunEvent } from "../results/events";
import type { LayerFacts } from "../results/facts";
import type { InterruptedRun } from "../results/interrupted";
import type { Comparison, Evaluation, Perplexity, TasksResult } from "../results/measures";
import type { ModelSummary } from "../results/model";
import type { PlanSummary } from "../results/plan";
import type { Reply } from "../results/reply";
import type { RunReport } from "../results/report";
import type { Verification } from "../results/verification";

/** A text, or token ids. `demo`: the texts that come with the demo model. `run`: the windows that a run was calibrated on. */
export type TextSource =
  | { kind: "demo" }
  | { kind: "text"; text: string }
  | { kind: "file"; file: File; field?: string }
  | { kind: "run"; runId: string };

/** Where an export goes: a folder the person chose, or one zip to download. */
export type ExportTarget = { kind: "folder"; handle: FileSystemDirectoryHandle; name: string } | { kind: "zip"; name: string };

/** A zip in the origin's private file system. */
export interface ZipFile {
  file: File;
  /** It is there as long as somebody holds this lock: the worker that wrote it, and the page. */
  lock: string;
}

export interface ExportSummary {
  files: string[];
  bytes: number;
  certificate: Certificate;
  /** null for a folder. */
  zip: ZipFile | null;
}

export interface RunRequest {
  /** Chosen by the page; names the run in `measure`, `export` and `forget`. */
  id: string;
  recipe: Recipe;
  calibration: TextSource;
  /** It need not be resumable: it is dropped when interrupted. */
  isPassing: boolean;
}

export interface EvaluationRequest {
  runId: string;
  text: TextSource;
  windowLength: number;
  /** At most this many windows; null: all. */
  windows: number | null;
  /** Which of the demo's texts is meant where `text` is `demo`. */
  use: "calibration" | "evaluation";
}

/** Multiple-choice questions. `demo`: those that come with the demo model. */
export type TaskSource = { kind: "demo" } | { kind: "file"; file: File };

export interface TasksRequest {
  /** null: the open checkpoint as it is. */
  runId: string | null;
  tasks: TaskSource;
  /** At most this many questions, counting from the first; null: all. */
  limit: number | null;
}

/** A folder's files, some files, or one zip that stands for those in it. */
export interface Given {
  files: GivenFile[];
  label: string;
}

/** Files to be checked. */
export interface CheckRequest extends Given {
  /** Compare layers with the open checkpoint's. */
  beside: boolean;
}

type Listener = (event: RunEvent) => void;

/** The worker's side. One job at a time: a second one is answered `busy`. `cancel` stops any job but the opening of a model. */
export interface StudioApi {
  /** Opens the GPU, or the float64 reference when asked. `no-webgpu` if there is none. `picksFolders`: this browser can write an export into a folder. */
  init(reference: boolean, picksFolders: boolean): Promise<Reply<AdapterFacts>>;
  /** Sets the bytes of GPU memory that later jobs keep within; null: as much as there is. */
  limitMemory(bytes: number | null): Promise<Reply<null>>;
  openDemo(): Promise<Reply<ModelSummary>>;
  openFiles(given: Given): Promise<Reply<ModelSummary>>;
  plan(recipe: Recipe, calibration: TextSource): Promise<Reply<PlanSummary>>;
  /** Bytes of the files that an export of this recipe would write, for a run whose text is not at hand. */
  exportBytes(recipe: Recipe): Promise<Reply<number>>;
  /** Runs of the open checkpoint that were interrupted, or not exported, and can be resumed. */
  interrupted(): Promise<Reply<InterruptedRun[]>>;
  run(request: RunRequest, onEvent: Listener): Promise<Reply<RunReport>>;
  /** Resumes an interrupted run where it stopped. */
  resume(runId: string, onEvent: Listener): Promise<Reply<RunReport>>;
  measure(request: EvaluationRequest, onEvent: Listener): Promise<Reply<Evaluation>>;
  /** Perplexity of the open checkpoint as it is, used for one that is quantized already. `runId` is ignored. */
  measureModel(request: EvaluationRequest, onEvent: Listener): Promise<Reply<Perplexity>>;
  /** The open checkpoint beside the one that it was made of, which is opened for it. `runId` is ignored. */
  measureAgainst(request: EvaluationRequest, original: Given, onEvent: Listener): Promise<Reply<Comparison>>;
  /** Zero-shot multiple choice. The checkpoint's own answers are kept: the next run is compared with them. */
  scoreTasks(request: TasksRequest, onEvent: Listener): Promise<Reply<TasksResult>>;
  exportRun(runId: string, target: ExportTarget, onEvent: Listener): Promise<Reply<ExportSummary>>;
  /** Checks files, which needs no GPU and leaves the open checkpoint as it is. */
  checkFiles(request: CheckRequest, onEvent: Listener): Promise<Reply<Verification>>;
  /** Shape and weight histograms of a layer, before and after a run. `name` without ".weight". */
  layerFacts(runId: string, name: string): Promise<Reply<LayerFacts>>;
  /** Asks the job under way to stop; it answers `cancelled` within a second. */
  cancel(): Promise<void>;
  /** Drops a run and deletes its blocks. */
  forget(runId: string): Promise<void>;
  /** Bytes alive on the GPU now. */
  liveBytes(): Promise<number>;
}
