import { QuantError } from "../errors";
import type { NamedEvaluation } from "../export/card";
import { exportCheckpoint } from "../export/checkpoint";
import type { Sink, Source } from "../io/types";
import type { Calibration } from "../model/calibration";
import { type Checkpoint, type Model, openCheckpoint, runnable } from "../model/checkpoint";
import type { Question } from "../model/question";
import { rotateModel } from "../model/rotated";
import { summarize } from "../model/summary";
import type { Helper } from "../model/text-file";
import { openTokenizer } from "../model/tokenizer";
import type { Ops, Tensor } from "../ops/ops";
import type { Recipe } from "../recipe/recipe";
import { tokenizing } from "../results/events";
import type { LayerFacts } from "../results/facts";
import type { Evaluation, Perplexity, TasksResult } from "../results/measures";
import type { ModelSummary } from "../results/model";
import type { PlanSummary } from "../results/plan";
import type { RunReport } from "../results/report";
import { changesOf, scoresOf } from "./accuracy";
import { startOf } from "./chunks";
import { compare, perplexity } from "./evaluate";
import { layerFacts } from "./facts";
import { type Circumstances, checkRecipe, fitsRecording, plan } from "./plan";
import { type Emit, partOf } from "./progress";
import { measureRate } from "./rate";
import { type RunResult, run } from "./run";
import { Recording } from "./stream";
import { type Answer, answerQuestions } from "./tasks";
import { hash, Texts, windowsKey } from "./texts";
import type { Cutting, GivenText, Reading } from "./tokens";
import { planUncalibrated, runUncalibrated } from "./uncalibrated";
import { loadOf, runWork } from "./work";

/** With the model it was of: the opened one, or another form of it. Evaluations by their windows: a second text adds to the first. */
type FinishedRun = RunResult & { model: Checkpoint; evaluations: Map<string, NamedEvaluation> };

/** One open checkpoint and its runs: what the page's worker holds between calls. One job at a time. */
export class Session {
  private checkpoint: Checkpoint | null = null;
  private recording: { key: string; value: Recording } | null = null;
  private readonly runs = new Map<string, FinishedRun>();
  private readonly texts = new Texts();
  private rotated: { seed: number; model: Model } | null = null;
  /** The checkpoint's own, by their questions. */
  private readonly answers = new Map<string, Answer[]>();
  private rate: number | null = null;

  /** @param helperFor does what may take too long for a job, where it can be ended. */
  constructor(
    readonly ops: Ops,
    private readonly helperFor: (signal: AbortSignal) => Helper | undefined = () => undefined,
  ) {}

  async open(source: Source): Promise<ModelSummary> {
    const checkpoint = await openCheckpoint(source);
    this.dropRecording();
    this.runs.clear();
    this.texts.clear();
    this.answers.clear();
    this.rotated = null;
    this.checkpoint = checkpoint;
    return summarize(checkpoint);
  }

  async plan(recipe: Recipe, text: GivenText, signal: AbortSignal): Promise<PlanSummary> {
    const { checkpoint } = this;
    if (checkpoint && !checkpoint.spec) return planUncalibrated(this.ops, checkpoint, recipe);
    const calibration = await this.texts.calibration(this.opened, text.file, recipe, this.reading(text, signal));
    this.rate ??= await measureRate(this.ops, this.opened.spec, calibration.tokens.length);
    return plan(await this.formOf(recipe), recipe, calibration, { rate: this.rate, stream: this.streamOf(calibration, recipe) });
  }

  async run(id: string, recipe: Recipe, text: GivenText, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const { checkpoint } = this;
    if (checkpoint && !checkpoint.spec) {
      const result = await runUncalibrated(this.ops, checkpoint, recipe, emit, signal);
      this.runs.set(id, { ...result, model: checkpoint, evaluations: new Map() });
      return result.report;
    }
    const calibration = await this.texts.calibration(this.opened, text.file, recipe, this.reading(text, signal, emit));
    checkRecipe(this.opened.spec, recipe);
    const model = await this.formOf(recipe);
    const kept = this.streamOf(calibration, recipe) === "kept";
    const recording = await this.recordingFor(model, calibration, recipe);
    const result = await run({ ops: this.ops, model, ...calibration, recipe, emit, signal, recording });
    this.rate = result.report.ms / runWork(model.spec, recipe, loadOf(calibration), kept);
    this.runs.set(id, { ...result, model, evaluations: new Map() });
    return result.report;
  }

  /** Perplexity before and after, and Δ_m, of a finished run on another text. */
  async measure(id: string, text: GivenText, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Evaluation> {
    const finished = this.finished(id);
    const tokens = await this.texts.tokens(this.opened, text.file, cutting, this.reading(text, signal, emit));
    const model = runnable(finished.model);
    const evaluation = await compare({ ops: this.ops, model, tokens, emit, signal }, finished.quantized);
    const own = cutting.seed === null ? "" : " - own calibration windows";
    finished.evaluations.set(windowsKey(tokens), { text: `${text.file.name}${own}`, evaluation });
    return evaluation;
  }

  /** Perplexity of the open checkpoint as it is. */
  async measureModel(text: GivenText, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Perplexity> {
    const tokens = await this.texts.tokens(this.opened, text.file, cutting, this.reading(text, signal, emit));
    return perplexity({ ops: this.ops, model: this.opened, tokens, emit, signal });
  }

  /** What the checkpoint answers to questions, and what a run makes of it. */
  async scoreTasks(id: string | null, questions: readonly Question[], emit: Emit, signal: AbortSignal): Promise<TasksResult> {
    const input = { ops: this.ops, model: this.opened, signal };
    const run = id === null ? null : this.finished(id);
    const encoder = await openTokenizer(this.opened.source);
    const key = hash(new TextEncoder().encode(JSON.stringify(questions)));
    const known = this.answers.get(key);
    const parts = run && !known ? 2 : 1;
    const before = known ?? (await answerQuestions({ ...input, emit: partOf(emit, 0, parts) }, encoder, questions));
    this.answers.set(key, before);
    if (!run) return { scores: scoresOf(before), changes: null };
    const theirs = { ...input, model: runnable(run.model), emit: partOf(emit, parts - 1, parts), quantized: run.quantized };
    const after = await answerQuestions(theirs, encoder, questions);
    return { scores: scoresOf(before), changes: changesOf(before, after) };
  }

  async export(id: string, sink: Sink, emit: Emit, signal: AbortSignal): Promise<{ files: string[]; bytes: number }> {
    const { model, quantized, report, evaluations } = this.finished(id);
    const progress = (done: number, total: number) => emit({ type: "progress", done, total, where: "writing" });
    return exportCheckpoint({ model, quantized, report, evaluations: [...evaluations.values()], sink, progress, signal });
  }

  /** Shape and histograms of one layer, read from the checkpoint and from the run. */
  async layerFacts(id: string, name: string): Promise<LayerFacts> {
    const run = this.runs.get(id);
    return layerFacts(run?.model ?? this.anything, run?.quantized.layers.get(name) ?? null, name);
  }

  forget(id: string): void {
    this.runs.delete(id);
  }

  private reading({ field }: GivenText, signal: AbortSignal, emit?: Emit): Reading {
    // No share of the work: how many tokens there are is not known, and the job's own progress starts from 0.
    const progress = (done: number) =>
      emit?.({ type: "progress", done: 0, total: 1, where: `${tokenizing} ${done.toLocaleString("en")} tokens` });
    return { signal, field, helper: this.helperFor(signal), progress };
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
    const scope = this.ops.scope();
    let start: Tensor[];
    try {
      start = await startOf(this.ops, model, calibration);
      scope.keep(...start);
    } finally {
      scope.end();
    }
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
  [rotation, windowsKey(tokens), heldOut && windowsKey(heldOut)].join();
