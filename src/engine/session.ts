import { QuantError } from "../errors";
import type { NamedEvaluation } from "../export/card";
import { exportCheckpoint } from "../export/checkpoint";
import type { Sink, Source, SourceFile } from "../io/types";
import type { TokenWindows } from "../model/calibration";
import { type Model, openModel } from "../model/checkpoint";
import type { Question } from "../model/question";
import { summarize } from "../model/summary";
import { openTokenizer } from "../model/tokenizer";
import type { Ops } from "../ops/ops";
import type { Recipe } from "../recipe/recipe";
import type { Evaluation, LayerFacts, ModelSummary, Perplexity, PlanSummary, RunReport, TasksResult } from "../worker/protocol";
import { changesOf, scoresOf } from "./accuracy";
import { embedChunks } from "./chunks";
import { compare, perplexity } from "./evaluate";
import { layerFacts } from "./facts";
import { type Circumstances, checkRecipe, fitsRecording, plan } from "./plan";
import { type Emit, partOf } from "./progress";
import { measureRate } from "./rate";
import { type RunResult, run } from "./run";
import { Recording } from "./stream";
import { type Answer, answerQuestions } from "./tasks";
import { type Cutting, loadTokens } from "./tokens";
import { runWork } from "./work";

/** Evaluations by their windows: a second text adds to the first. */
type FinishedRun = RunResult & { evaluations: Map<string, NamedEvaluation> };

/** One open checkpoint and its runs: what the page's worker holds between calls. One job at a time. */
export class Session {
  private model: Model | null = null;
  private recording: { key: string; value: Recording } | null = null;
  private readonly runs = new Map<string, FinishedRun>();
  private readonly texts = new Map<string, TokenWindows>();
  /** The checkpoint's own, by their questions. */
  private readonly answers = new Map<string, Answer[]>();
  private rate: number | null = null;

  constructor(readonly ops: Ops) {}

  async open(source: Source): Promise<ModelSummary> {
    const model = await openModel(source);
    this.dropRecording();
    this.runs.clear();
    this.texts.clear();
    this.answers.clear();
    this.model = model;
    return summarize(model);
  }

  async plan(recipe: Recipe, text: SourceFile): Promise<PlanSummary> {
    const tokens = await this.tokens(text, recipe.calibration);
    this.rate ??= await measureRate(this.ops, this.opened.spec, tokens.length);
    return plan(this.opened, recipe, tokens, { rate: this.rate, stream: this.streamOf(tokens) });
  }

  async run(id: string, recipe: Recipe, text: SourceFile, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const model = this.opened;
    const tokens = await this.tokens(text, recipe.calibration, signal);
    checkRecipe(model.spec, recipe);
    const kept = this.streamOf(tokens) === "kept";
    const recording = await this.recordingFor(tokens);
    const result = await run({ ops: this.ops, model, tokens, recipe, emit, signal, recording });
    this.rate = result.report.ms / runWork(model.spec, recipe, tokens.ids.length, tokens.length, kept);
    this.runs.set(id, { ...result, evaluations: new Map() });
    return result.report;
  }

  /** Perplexity before and after, and Δ_m, of a finished run on another text. */
  async measure(id: string, file: SourceFile, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Evaluation> {
    const finished = this.finished(id);
    const tokens = await this.tokens(file, cutting, signal);
    const evaluation = await compare({ ops: this.ops, model: this.opened, tokens, emit, signal }, finished.quantized);
    finished.evaluations.set(keyOf(tokens), { text: file.name, evaluation });
    return evaluation;
  }

  /** Perplexity of the open checkpoint as it is. */
  async measureModel(text: SourceFile, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Perplexity> {
    const tokens = await this.tokens(text, cutting, signal);
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
    const after = await answerQuestions({ ...input, emit: partOf(emit, parts - 1, parts), quantized: run.quantized }, encoder, questions);
    return { scores: scoresOf(before), changes: changesOf(before, after) };
  }

  async export(id: string, sink: Sink, emit: Emit, signal: AbortSignal): Promise<{ files: string[]; bytes: number }> {
    const { quantized, report, evaluations } = this.finished(id);
    const progress = (done: number, total: number) => emit({ type: "progress", done, total, where: "writing" });
    return exportCheckpoint({ model: this.opened, quantized, report, evaluations: [...evaluations.values()], sink, progress, signal });
  }

  /** Shape and histograms of one layer, read from the checkpoint and from the run. */
  async layerFacts(id: string, name: string): Promise<LayerFacts> {
    return layerFacts(this.opened, this.runs.get(id)?.quantized.layers.get(name) ?? null, name);
  }

  forget(id: string): void {
    this.runs.delete(id);
  }

  private get opened(): Model {
    if (!this.model) throw new QuantError("internal", "no model is open", "Open a checkpoint first.");
    return this.model;
  }

  private finished(id: string): FinishedRun {
    const finished = this.runs.get(id);
    if (!finished) throw new QuantError("internal", "this run is not there any more", "Run it again.");
    return finished;
  }

  /** Tokenized once per text and cutting: the plan line asks at every change of the recipe. */
  private async tokens(file: SourceFile, cutting: Cutting, signal?: AbortSignal): Promise<TokenWindows> {
    const key = JSON.stringify([
      file.name,
      file.size,
      hash(await file.read(0, file.size)),
      cutting.windows,
      cutting.windowLength,
      cutting.seed,
    ]);
    const known = this.texts.get(key);
    if (known) return known;
    const tokens = await loadTokens(this.opened, file, cutting, () => this.ops.flush(), signal);
    this.texts.set(key, tokens);
    return tokens;
  }

  private streamOf(tokens: TokenWindows): Circumstances["stream"] {
    if (!fitsRecording(this.opened.spec, tokens)) return "passing";
    const whole = this.recording?.key === keyOf(tokens) && this.recording.value.residuals.length === this.opened.spec.blocks;
    return whole ? "kept" : "recorded";
  }

  /** The kept full-precision stream of these tokens, a new empty one, or null when it would not fit the budget. */
  private async recordingFor(tokens: TokenWindows): Promise<Recording | null> {
    if (this.recording?.key === keyOf(tokens)) return this.recording.value;
    this.dropRecording();
    if (!fitsRecording(this.opened.spec, tokens)) return null;
    const start = (await embedChunks(this.ops, this.opened, tokens)).map((chunk) => chunk.h);
    this.recording = { key: keyOf(tokens), value: new Recording(this.ops, start) };
    return this.recording.value;
  }

  private dropRecording(): void {
    this.recording?.value.free();
    this.recording = null;
  }
}

const keyOf = (tokens: TokenWindows): string =>
  `${tokens.length}:${hash(new Uint8Array(tokens.ids.buffer, tokens.ids.byteOffset, tokens.ids.byteLength))}`;

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
