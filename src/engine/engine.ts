import { QuantError } from "../errors";
import { type Exported, exportCheckpoint } from "../export/checkpoint";
import type { Sink, Source } from "../io/types";
import type { Calibration, TokenWindows } from "../model/calibration";
import { type Checkpoint, type Model, runnable } from "../model/checkpoint";
import type { Question } from "../model/question";
import { rotateModel } from "../model/rotated";
import { summarize } from "../model/summary";
import { type Encoder, withTokenizer } from "../model/tokenizer";
import type { ActivationBudget } from "../ops/activations";
import type { QuantizedModel } from "../quant/coded";
import { resolve } from "../quant/resolve";
import type { Recipe } from "../recipe/recipe";
import { openAny } from "../reopen/open";
import { tokenizing } from "../results/events";
import type { LayerFacts } from "../results/facts";
import type { InterruptedRun } from "../results/interrupted";
import type { Comparison, Evaluation, Perplexity, TasksResult } from "../results/measures";
import type { ModelSummary } from "../results/model";
import type { PlanSummary } from "../results/plan";
import type { RunReport } from "../results/report";
import { changesOf, scoresOf } from "./accuracy";
import { checkSameTokens, checkSameVocabulary, openOriginal } from "./against";
import { type GpuMemory, MemoryKeeper } from "./budget";
import { Devices } from "./devices";
import { Digests } from "./digests";
import { evaluate, evaluateAgainst, perplexityOf } from "./evaluate";
import { layerFacts } from "./facts";
import { checkInputs } from "./inputs";
import { checkRoom, withRoom } from "./lack";
import { checkWidths } from "./limits";
import { exportBytes, planSummary } from "./plan";
import type { Device, Platform } from "./platform";
import { type Emit, neverFalling, partOf } from "./progress";
import { measureRate } from "./rate";
import { Recordings } from "./recordings";
import { run } from "./run";
import { type Beginning, type KeptRun, Runs } from "./runs";
import { type Answer, answerQuestions } from "./tasks";
import { quickHash, Texts, windowsKey } from "./texts";
import { type Cutting, type GivenText, loadTokens, type Reading, type WindowsOfRun } from "./tokens";
import { planUncalibrated, runUncalibrated } from "./uncalibrated";
import { loadOf, runWork } from "./work";

/** What a run is to do. */
export interface RunOrder {
  /** Names the run in `measure`, `export` and `forget`, and the place where it is kept. */
  id: string;
  recipe: Recipe;
  /** Ignored for a checkpoint that cannot be calibrated. */
  text: GivenText | WindowsOfRun | null;
  beginning?: Beginning;
  /** It need not be resumable: it is dropped when interrupted, and kept in memory where it is small. */
  isPassing?: boolean;
}

/** While a plan is made, nobody listens. */
const unheard: Emit = () => {};

/** One open checkpoint and its runs: what page and command line do with a device. One job at a time. */
export class Engine {
  private checkpoint: Checkpoint | null = null;
  private readonly runs: Runs;
  private readonly recordings: Recordings;
  private readonly texts = new Texts();
  private readonly digests: Digests;
  private rotated: { seed: number; model: Model } | null = null;
  /** The checkpoint's own answers, keyed by the questions. */
  private readonly answers = new Map<string, Answer[]>();
  private rate: number | null = null;
  private readonly devices: Devices;
  private readonly keeper: MemoryKeeper;

  constructor(private readonly platform: Platform) {
    this.devices = new Devices(platform, () => {
      this.recordings.forget();
      this.rate = null;
    });
    this.runs = new Runs(platform);
    this.digests = new Digests(platform.startHasher);
    this.recordings = new Recordings(platform.runsAgain);
    this.keeper = new MemoryKeeper(platform.budget);
  }

  /** Opens the device unless it is open; opens a new one after it was lost. Every job calls this first. @throws QuantError `no-webgpu`. */
  start(): Promise<Device> {
    return this.devices.start();
  }

  /** Sets the GPU memory that every later job keeps within. */
  limitMemory(bytes: GpuMemory): void {
    this.keeper.memory = bytes;
    // It lies in chunks that may be too large now.
    this.recordings.drop();
  }

  /** Bytes alive on the device now. */
  get liveBytes(): number {
    return this.devices.liveBytes;
  }

  async open(source: Source): Promise<ModelSummary> {
    const checkpoint = await openAny(source);
    this.recordings.drop();
    this.digests.drop();
    await this.runs.close();
    this.texts.clear();
    this.answers.clear();
    this.rotated = null;
    this.checkpoint = checkpoint;
    return summarize(checkpoint);
  }

  /** The open checkpoint, to compare others with; null where none is open. */
  get original(): Checkpoint | null {
    return this.checkpoint;
  }

  /** The runs of the open checkpoint that can be resumed. */
  interrupted(): Promise<InterruptedRun[]> {
    return this.runs.interrupted(this.current);
  }

  /** What a run would take, before it starts. @throws QuantError as `resolve`, and about the text. */
  async plan(recipe: Recipe, text: GivenText | WindowsOfRun | null, signal: AbortSignal): Promise<PlanSummary> {
    const plan = resolve(recipe, this.current);
    if (!this.current.spec) {
      return this.devices.recovering(signal, unheard, async ({ ops }) => {
        checkWidths(plan, ops.adapter);
        return withRoom(this.platform, await planUncalibrated(ops, this.current, plan), { model: this.current, plan, calibration: null });
      });
    }
    const { calibration } = await this.calibrationOf(recipe, text, signal);
    const { spec } = this.currentModel;
    const rate = await this.devices.recovering(signal, unheard, async ({ activations, ops }) => {
      checkWidths(plan, ops.adapter);
      return this.rate ?? measureRate(activations, spec, calibration.tokens.length);
    });
    this.rate = rate;
    const perChunk = this.keeper.perChunk(spec, calibration.tokens);
    const stream = this.recordings.state(spec, calibration, recipe, perChunk);
    const model = runnable(await this.formOf(recipe));
    const budget = this.keeper.runBudget(spec, plan, calibration, perChunk, stream !== "unrecorded");
    return withRoom(this.platform, await planSummary(model, plan, calibration, { rate, stream, perChunk, budget }), {
      model,
      plan,
      calibration,
      budget,
    });
  }

  /** Bytes of the files that an export of this recipe would write: the part of a plan that needs no text. @throws QuantError as `resolve`. */
  async exportBytes(recipe: Recipe): Promise<number> {
    return exportBytes(await this.formOf(recipe), resolve(recipe, this.current));
  }

  /**
   * Quantizes, block by block. After a lost device it goes on, on a new one, with the block that was under way.
   * @throws QuantError; the blocks done by then are kept, unless `isPassing`.
   */
  async run({ id, recipe, text, beginning = "new", isPassing = false }: RunOrder, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const plan = resolve(recipe, this.current);
    const given = this.current.spec ? await this.calibrationOf(recipe, text, signal, emit) : null;
    const kept = await this.runs.begin(id, await this.formOf(recipe), plan, given, { beginning, isPassing });
    return this.carryOn(id, kept, given?.calibration ?? null, emit, signal, isPassing);
  }

  /** Resumes an interrupted run of this checkpoint, on the windows kept with it. @throws QuantError `other-run`, `inputs-changed`. */
  async resume(id: string, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const found = await this.runs.peek(id);
    if (!found) throw new QuantError("internal", "this run no longer exists", "Run it again.");
    const { recipe, text } = found.store.identity;
    const calibration = await found.store.calibration();
    await found.place.release();
    const plan = resolve(recipe, this.current);
    const given = calibration && { label: text?.label ?? "", calibration };
    const kept = await this.runs.begin(id, await this.formOf(recipe), plan, given, { beginning: "resume", isPassing: false });
    return this.carryOn(id, kept, calibration, emit, signal, false);
  }

  /** Perplexity before and after, KL divergence and Δ_m of a finished run on another text. */
  async measure(id: string, text: GivenText | WindowsOfRun, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Evaluation> {
    const { model, store, evaluations } = this.runs.finished(id);
    const { label, tokens } = await this.measuredTokens(text, cutting, emit, signal);
    const measured = runnable(model);
    const evaluation = await this.devices.recovering(signal, emit, (device, steady) =>
      evaluate({ ...this.passing(device, tokens, [measured]), model: measured, tokens, emit: steady, signal }, store),
    );
    evaluations.set(windowsKey(tokens), { text: label, evaluation });
    return evaluation;
  }

  private async measuredTokens(text: GivenText | WindowsOfRun, cutting: Cutting, emit: Emit, signal: AbortSignal) {
    if ("ofRun" in text) {
      const { label, calibration } = await this.windowsOf(text);
      return { label: `${label} - own calibration windows`, tokens: calibration.tokens };
    }
    const tokens = await this.texts.tokens(this.currentModel, text.file, cutting, this.reading(text, signal, emit));
    return { label: text.label ?? text.file.name, tokens };
  }

  /** Perplexity of the open checkpoint as it is. */
  async measureModel(text: GivenText, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Perplexity> {
    const tokens = await this.texts.tokens(this.currentModel, text.file, cutting, this.reading(text, signal, emit));
    return this.devices.recovering(signal, emit, (device, steady) =>
      perplexityOf({ ...this.passing(device, tokens), model: this.currentModel, tokens, emit: steady, signal }),
    );
  }

  /**
   * The open checkpoint beside the original that it was made of, on the open checkpoint's tokens.
   * @throws QuantError `other-vocabulary` where the original does not have the same ones.
   */
  async measureAgainst(source: Source, text: GivenText, cutting: Cutting, emit: Emit, signal: AbortSignal): Promise<Comparison> {
    const [model, original] = [this.currentModel, await openOriginal(source)];
    checkSameVocabulary(model, original);
    const reading = this.reading(text, signal, emit);
    const tokens = await this.texts.tokens(model, text.file, cutting, reading);
    await checkSameTokens(model, original, tokens, () => loadTokens(original, text.file, cutting, reading));
    return this.devices.recovering(signal, emit, (device, steady) =>
      evaluateAgainst({ ...this.passing(device, tokens, [original]), model, tokens, emit: steady, signal }, original),
    );
  }

  /** Scores the checkpoint's answers to the questions and, where a run is named, the quantized model's. */
  async scoreTasks(id: string | null, questions: readonly Question[], emit: Emit, signal: AbortSignal): Promise<TasksResult> {
    return withTokenizer(this.currentModel.source, this.platform.helperFor(signal), (encoder) =>
      this.scoreWith(encoder, id, questions, emit, signal),
    );
  }

  private async scoreWith(
    encoder: Encoder,
    id: string | null,
    questions: readonly Question[],
    emit: Emit,
    signal: AbortSignal,
  ): Promise<TasksResult> {
    const finished = id === null ? null : this.runs.finished(id);
    const key = quickHash(new TextEncoder().encode(JSON.stringify(questions)));
    const known = this.answers.get(key);
    const parts = finished && !known ? 2 : 1;
    const ask = (model: Model, part: number, quantized: QuantizedModel | null) =>
      this.devices.recovering(signal, partOf(emit, part, parts), (device, steady) => {
        const { activations, perChunk } = this.passing(device, { length: 1, windows: Number.POSITIVE_INFINITY });
        return answerQuestions({ activations, model, tokensPerPass: perChunk, emit: steady, signal, quantized }, encoder, questions);
      });
    const before = known ?? (await ask(this.currentModel, 0, null));
    this.answers.set(key, before);
    if (!finished) return { scores: scoresOf(before), changes: null };
    const after = await ask(runnable(finished.model), parts - 1, finished.store);
    return { scores: scoresOf(before), changes: changesOf(before, after) };
  }

  /** Writes a finished run, and reads back what was written. @throws QuantError `verify-failed`, disk-full, … */
  async export(id: string, sink: Sink, emit: Emit, signal: AbortSignal): Promise<Exported> {
    const { model, plan, store, report, evaluations } = this.runs.finished(id);
    const written = await exportCheckpoint({
      model,
      plan,
      quantized: store,
      report,
      evaluations: [...evaluations.values()],
      calibration: store.identity.text?.digest ?? null,
      startHasher: this.platform.startHasher,
      inputs: (read, s) => this.digests.of(model, read, s),
      sink,
      progress: (done, total, where) => emit({ type: "progress", done, total, where }),
      signal,
    });
    await store.markExported();
    return written;
  }

  /** Shape and histograms of one layer, read from the checkpoint and from the run. */
  async layerFacts(id: string, name: string): Promise<LayerFacts> {
    const kept = this.runs.get(id);
    return layerFacts(kept?.model ?? this.current, (await kept?.store.layer(name)) ?? null, name);
  }

  /** Drops a run and deletes its blocks. */
  forget(id: string): Promise<void> {
    return this.runs.forget(id, { discard: true });
  }

  /** Releases the device and the places of the runs. What is kept of unfinished runs stays there. */
  async close(): Promise<void> {
    this.digests.drop();
    await this.runs.close();
    this.devices.close();
  }

  private async carryOn(
    id: string,
    kept: KeptRun,
    calibration: Calibration | null,
    emit: Emit,
    signal: AbortSignal,
    isPassing: boolean,
  ): Promise<RunReport> {
    const steady = neverFalling(emit);
    try {
      const budget = calibration ? this.budgetOf(kept, calibration) : undefined;
      if (!isPassing) await checkRoom(this.platform, { ...kept, calibration, committed: kept.store.committed, budget });
      if (!isPassing) this.digests.begin(kept.model);
      await checkInputs(kept.store, kept.model, kept.plan, calibration, calibration ? this.perChunkOf(kept, calibration) : 1, emit, signal);
      for (;;) {
        try {
          kept.report = await this.attempt(kept, calibration, steady, signal);
          return kept.report;
        } catch (e) {
          this.devices.recover(e, `Going on with block ${kept.store.committed + 1} on a new one.`, steady, signal);
        }
      }
    } catch (e) {
      await this.runs.forget(id, { discard: isPassing || kept.store.committed === 0 });
      throw e;
    }
  }

  private perChunkOf({ model, store }: KeptRun, { tokens }: Calibration): number {
    return this.keeper.perChunk(runnable(model).spec, tokens, store.chunkTokens);
  }

  /** The activations' budget of a run. @throws QuantError `gpu-limit`. */
  private budgetOf(kept: KeptRun, calibration: Calibration): ActivationBudget {
    const { spec } = runnable(kept.model);
    const perChunk = this.perChunkOf(kept, calibration);
    const stream = this.recordings.state(spec, calibration, kept.plan.recipe, perChunk);
    return this.keeper.runBudget(spec, kept.plan, calibration, perChunk, stream !== "unrecorded");
  }

  /** Prepares the device for passes of these windows through whole blocks. @param beside models whose logits are compared with the open checkpoint's. */
  private passing(device: Device, windows: Pick<TokenWindows, "length" | "windows">, beside: readonly Model[] = []) {
    const specs = [this.currentModel, ...beside].map(({ spec }) => spec);
    return this.keeper.limitPasses(device, specs, windows);
  }

  private async attempt(kept: KeptRun, calibration: Calibration | null, emit: Emit, signal: AbortSignal): Promise<RunReport> {
    const { model, plan, store } = kept;
    const activations = this.keeper.limit(await this.start(), calibration && this.budgetOf(kept, calibration));
    if (!calibration) return runUncalibrated({ activations, checkpoint: model, plan, store, emit, signal });
    const runs = runnable(model);
    const { recipe } = plan;
    const perChunk = this.perChunkOf(kept, calibration);
    const stream = this.recordings.state(runs.spec, calibration, recipe, perChunk);
    const recording = await this.recordings.of(activations, runs, calibration, recipe, perChunk, signal);
    const from = store.committed;
    const report = await run({ activations, model: runs, plan, calibration, store, perChunk, emit, signal, recording });
    if (from === 0) this.rate = report.ms / runWork(runs.spec, plan, loadOf(calibration), stream === "replayed");
    return report;
  }

  private async calibrationOf(
    recipe: Recipe,
    text: GivenText | WindowsOfRun | null,
    signal: AbortSignal,
    emit?: Emit,
  ): Promise<{ label: string; calibration: Calibration }> {
    if (!text) throw new QuantError("internal", "no calibration text was given", "Choose a text.");
    if ("ofRun" in text) return this.windowsOf(text);
    const calibration = await this.texts.calibration(this.currentModel, text.file, recipe, this.reading(text, signal, emit));
    return { label: text.label ?? text.file.name, calibration };
  }

  private async windowsOf({ ofRun }: WindowsOfRun): Promise<{ label: string; calibration: Calibration }> {
    const { store } = this.runs.finished(ofRun);
    const calibration = await store.calibration();
    if (!calibration) throw new QuantError("internal", "nothing was calibrated in this run");
    return { label: store.identity.text?.label ?? "", calibration };
  }

  private reading({ field }: GivenText, signal: AbortSignal, emit?: Emit): Reading {
    // Always 0 done: how many tokens there will be is not known, and the job's own progress starts from 0 afterwards.
    const progress = (done: number) =>
      emit?.({ type: "progress", done: 0, total: 1, where: `${tokenizing} ${done.toLocaleString("en")} tokens` });
    return { signal, field, helper: this.platform.helperFor(signal), progress };
  }

  private get current(): Checkpoint {
    if (!this.checkpoint) throw new QuantError("internal", "no model is open", "Open a checkpoint first.");
    return this.checkpoint;
  }

  /** @throws QuantError `unsupported-architecture` where it can only be rounded. */
  private get currentModel(): Model {
    return runnable(this.current);
  }

  /** The open checkpoint, rotated where the recipe asks for it. */
  private async formOf({ rotation }: Recipe): Promise<Checkpoint> {
    if (rotation === null) return this.current;
    if (this.rotated?.seed !== rotation || this.rotated.model.original !== this.currentModel)
      this.rotated = { seed: rotation, model: await rotateModel(this.currentModel, rotation) };
    return this.rotated.model;
  }
}
