import { QuantError } from "../errors";
import { exportCheckpoint } from "../export/checkpoint";
import type { Sink, Source, SourceFile } from "../io/types";
import type { Calibration, TokenWindows } from "../model/calibration";
import { type Checkpoint, type Model, openCheckpoint, runnable } from "../model/checkpoint";
import { rotateModel } from "../model/rotated";
import { summarize } from "../model/summary";
import type { Ops } from "../ops/ops";
import { needsHeldOut, type Recipe } from "../recipe/recipe";
import type { Evaluation, LayerFacts, ModelSummary, Perplexity, PlanSummary, RunReport } from "../worker/protocol";
import { startOf } from "./chunks";
import { compare, perplexity } from "./evaluate";
import { layerFacts } from "./facts";
import { type Circumstances, checkRecipe, fitsRecording, plan } from "./plan";
import type { Emit } from "./progress";
import { measureRate } from "./rate";
import { type RunResult, run } from "./run";
import { Recording } from "./stream";
import { type Cutting, loadCalibration, loadTokens } from "./tokens";
import { planUncalibrated, runUncalibrated } from "./uncalibrated";
import { loadOf, runWork } from "./work";

/** With the model it was of: the opened one, or another form of it. */
type FinishedRun = RunResult & { model: Checkpoint; evaluation: Evaluation | null };

/** One open checkpoint and its runs: what the page's worker holds between calls. One job at a time. */
export class Session {
  private checkpoint: Checkpoint | null = null;
  private recording: { key: string; value: Recording } | null = null;
  private readonly runs = new Map<string, FinishedRun>();
  private readonly texts = new Map<string, unknown>();
  private rotated: { seed: number; model: Model } | null = null;
  private rate: number | null = null;

  constructor(readonly ops: Ops) {}

  async open(source: Source): Promise<ModelSummary> {
    const checkpoint = await openCheckpoint(source);
    this.dropRecording();
    this.runs.clear();
    this.texts.clear();
    this.checkpoint = checkpoint;
    return summarize(checkpoint);
  }

  async plan(recipe: Recipe, text: SourceFile): Promise<PlanSummary> {
    const { checkpoint } = this;
    if (checkpoint && !checkpoint.spec) return planUncalibrated(this.ops, checkpoint, recipe);
    const calibration = await this.calibration(text, recipe);
    this.rate ??= await measureRate(this.ops, this.opened.spec, calibration.tokens.length);
    return plan(await this.formOf(recipe), recipe, calibration, { rate: this.rate, stream: this.streamOf(calibration, recipe) });
  }

  async run(id: string, recipe: Recipe, text: SourceFile, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const { checkpoint } = this;
    if (checkpoint && !checkpoint.spec) {
      const result = await runUncalibrated(this.ops, checkpoint, recipe, emit, signal);
      this.runs.set(id, { ...result, model: checkpoint, evaluation: null });
      return result.report;
    }
    const calibration = await this.calibration(text, recipe, signal);
    checkRecipe(this.opened.spec, recipe);
    const model = await this.formOf(recipe);
    const kept = this.streamOf(calibration, recipe) === "kept";
    const recording = await this.recordingFor(model, calibration, recipe);
    const result = await run({ ops: this.ops, model, ...calibration, recipe, emit, signal, recording });
    this.rate = result.report.ms / runWork(model.spec, recipe, loadOf(calibration), kept);
    this.runs.set(id, { ...result, model, evaluation: null });
    return result.report;
  }

  /** Perplexity before and after, and Δ_m, of a finished run on another text. */
  async measure(id: string, text: SourceFile, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Evaluation> {
    const finished = this.finished(id);
    const tokens = await this.tokens(text, cutting, signal);
    const evaluation = await compare({ ops: this.ops, model: runnable(finished.model), tokens, emit, signal }, finished.quantized);
    finished.evaluation = evaluation;
    return evaluation;
  }

  /** Perplexity of the open checkpoint as it is. */
  async measureModel(text: SourceFile, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Perplexity> {
    const tokens = await this.tokens(text, cutting, signal);
    return perplexity({ ops: this.ops, model: this.opened, tokens, emit, signal });
  }

  async export(id: string, sink: Sink, emit: Emit, signal: AbortSignal): Promise<{ files: string[]; bytes: number }> {
    const { model, quantized, report, evaluation } = this.finished(id);
    const progress = (done: number, total: number) => emit({ type: "progress", done, total, where: "writing" });
    return exportCheckpoint({ model, quantized, report, evaluation, sink, progress, signal });
  }

  /** Shape and histograms of one layer, read from the checkpoint and from the run. */
  async layerFacts(id: string, name: string): Promise<LayerFacts> {
    const run = this.runs.get(id);
    return layerFacts(run?.model ?? this.anything, run?.quantized.layers.get(name) ?? null, name);
  }

  forget(id: string): void {
    this.runs.delete(id);
  }

  private get anything(): Checkpoint {
    if (!this.checkpoint) throw new QuantError("internal", "no model is open", "Open a checkpoint first.");
    return this.checkpoint;
  }

  /** @throws QuantError `unsupported-architecture` where it can only be rounded. */
  private get opened(): Model {
    return runnable(this.anything);
  }

  private finished(id: string): FinishedRun {
    const finished = this.runs.get(id);
    if (!finished) throw new QuantError("internal", "this run is not there any more", "Run it again.");
    return finished;
  }

  private async tokens(file: SourceFile, cutting: Cutting, signal?: AbortSignal): Promise<TokenWindows> {
    return this.once(file, [cutting.windows, cutting.windowLength], () =>
      loadTokens(this.opened, file, cutting, () => this.ops.flush(), signal),
    );
  }

  private async calibration(file: SourceFile, recipe: Recipe, signal?: AbortSignal): Promise<Calibration> {
    const held = needsHeldOut(recipe) && recipe.qep.heldOut;
    const { windows, windowLength, seed } = recipe.calibration;
    return this.once(file, [windows, windowLength, seed, held], () =>
      loadCalibration(this.opened, file, recipe, () => this.ops.flush(), signal),
    );
  }

  /** Tokenized once per text and cutting: the plan line asks at every change of the recipe. */
  private async once<T>(file: SourceFile, cut: unknown[], load: () => Promise<T>): Promise<T> {
    const key = JSON.stringify([file.name, file.size, hash(await file.read(0, file.size)), ...cut]);
    const known = this.texts.get(key) as T | undefined;
    if (known) return known;
    const loaded = await load();
    this.texts.set(key, loaded);
    return loaded;
  }

  private streamOf(calibration: Calibration, recipe: Recipe): Circumstances["stream"] {
    if (!fitsRecording(this.opened.spec, calibration)) return "passing";
    const whole = this.recording?.key === keyOf(calibration, recipe) && this.recording.value.residuals.length === this.opened.spec.blocks;
    return whole ? "kept" : "recorded";
  }

  /** The kept full-precision stream of these tokens, a new empty one, or null when it would not fit the budget. */
  private async recordingFor(model: Model, calibration: Calibration, recipe: Recipe): Promise<Recording | null> {
    const key = keyOf(calibration, recipe);
    if (this.recording?.key === key) return this.recording.value;
    this.dropRecording();
    if (!fitsRecording(this.opened.spec, calibration)) return null;
    const start = await startOf(this.ops, model, calibration);
    this.recording = { key, value: new Recording(this.ops, start) };
    return this.recording.value;
  }

  /** The opened model as the recipe wants it. */
  private async formOf({ rotation }: Recipe): Promise<Model> {
    if (rotation === null) return this.opened;
    if (this.rotated?.seed !== rotation || this.rotated.model.original !== this.opened)
      this.rotated = { seed: rotation, model: await rotateModel(this.opened, rotation) };
    return this.rotated.model;
  }

  private dropRecording(): void {
    this.recording?.value.free();
    this.recording = null;
  }
}

const keyOf = ({ tokens, heldOut }: Calibration, { rotation }: Recipe): string =>
  rotation +
  [tokens, heldOut].map((w) => (w ? `${w.length}:${hash(new Uint8Array(w.ids.buffer, w.ids.byteOffset, w.ids.byteLength))}` : "")).join();

/** FNV-1a, 53 bits of it: tells texts apart, guards nothing. */
function hash(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b);
  }
  return `${bytes.length}:${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`;
}
