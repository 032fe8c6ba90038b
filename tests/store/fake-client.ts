import { QuantError } from "../../src/errors";
import { isBase, type LayerKind, layerKinds, type Recipe } from "../../src/recipe/recipe";
import { alphaOf } from "../../src/recipe/rules";
import type { AdapterFacts } from "../../src/results/adapter";
import type { RunEvent } from "../../src/results/events";
import type { Evaluation, TasksResult } from "../../src/results/measures";
import type { ModelSummary } from "../../src/results/model";
import type { PlanSummary } from "../../src/results/plan";
import type { BlockReport, LayerReport, RunReport } from "../../src/results/report";
import type { Client } from "../../src/worker/client";
import type { ExportSummary, StudioApi } from "../../src/worker/protocol";

interface Figure {
  perplexityBefore: number;
  perplexity: number;
  delta: number[];
  relativeDelta: number[];
  deltaEvaluation: number[];
  layers: Record<string, number>;
}

export interface Figures {
  recipes: Record<string, Figure>;
}

export interface FakeOptions {
  /** Awaited before every event and answer; the default lets other promises run. */
  pause?: () => Promise<void>;
  gpu?: Partial<AdapterFacts> | QuantError;
  model?: Partial<ModelSummary>;
  /** A call of this method fails so. */
  fail?: Partial<Record<keyof StudioApi, QuantError>>;
  /** A run fails so after this many blocks. */
  failAfter?: { blocks: number; error: QuantError };
  notes?: { level: "info" | "warning"; message: string }[];
}

export interface Fake extends Client {
  /** Methods in the order they were called; liveBytes is left out. */
  calls: string[];
  /** α of the runs that were started. */
  alphas: number[];
  options: FakeOptions;
}

export const demoModel: ModelSummary = {
  label: "QEP demo",
  architecture: "LlamaForCausalLM",
  parameters: 722_496,
  dtypes: ["BF16"],
  blocks: 12,
  layers: 84,
  shape: { hidden: 64, intermediate: 192, heads: 4, kvHeads: 2, headDim: 16, vocabulary: 1024, maxPositions: 512, tied: false },
  bytes: 1_444_992,
  files: 2,
  hasTokenizer: true,
  packing: null,
  notes: [],
  warnings: [],
};

export function createFake(figures: Figures, given: FakeOptions = {}): Fake {
  const options: FakeOptions = { ...given };
  const pause = options.pause ?? (() => Promise.resolve());
  const calls: string[] = [];
  const alphas: number[] = [];
  const runs = new Map<string, Recipe>();
  let cancelled = false;
  let kept = false;

  async function step() {
    await pause();
    if (cancelled) throw new QuantError("cancelled");
  }

  /** The oracle knows α 0 and ½; between and beyond, a parabola in α through both with its least at 0.6. */
  function figureOf(recipe: Recipe): Figure {
    const [base, half] = ["", "-qep"].map((end) => figures.recipes[`rtn-${recipe.bits}${end}`]);
    if (isBase(recipe)) return base;
    const { alpha } = recipe.qep;
    const share = 1 - ((alpha - 0.6) ** 2 - 0.01) / 0.35;
    const mix = (b: number[], h: number[]) => (alpha === 0.5 ? h : b.map((x, i) => x + (h[i] - x) * share));
    return { ...half, delta: mix(base.delta, half.delta), relativeDelta: mix(base.relativeDelta, half.relativeDelta) };
  }

  function plan(recipe: Recipe): PlanSummary {
    if (recipe.groupSize === 128)
      throw new QuantError(
        "group-size",
        "128 does not divide the 64 inputs of q_proj",
        "Sizes that fit every layer: −1 (the whole row), 32, 64.",
      );
    const windows = recipe.calibration.windows ?? 64;
    return {
      bytesIn: demoModel.bytes,
      bytesOut: demoModel.bytes,
      bitsPerWeight: recipe.bits + 19 / 83,
      quantizedWeights: 589_824,
      tokens: windows * recipe.calibration.windowLength,
      windows,
      heldOutWindows: 0,
      peakGpuBytes: 41_300_000,
      seconds: kept ? 3.2 : 6.4,
      streamKept: kept,
      warnings: [],
      notes: [],
    };
  }

  async function run(id: string, recipe: Recipe, emit: (e: RunEvent) => void): Promise<RunReport> {
    const figure = figureOf(recipe);
    const count = recipe.blocks ?? 12;
    const fresh = !kept;
    const blocks: BlockReport[] = [];
    const layers: LayerReport[] = [];
    alphas.push(recipe.qep.alpha);
    emit({ type: "start", blocks: 12, quantizedBlocks: count });
    for (const note of options.notes ?? []) emit({ type: "log", ...note });
    let done = 0;
    for (let m = 0; m < 12; m++) {
      for (const kind of layerKinds) {
        await step();
        const layer = layerOf(recipe, figure, m, kind);
        if (m < count) layers.push(layer);
        if (m < count) emit({ type: "layer", layer });
        emit({ type: "progress", done: ++done, total: 84, where: `block ${m + 1}, ${kind}` });
      }
      if (options.failAfter?.blocks === m) throw options.failAfter.error;
      const block = { index: m, delta: figure.delta[m], relativeDelta: figure.relativeDelta[m] };
      blocks.push(block);
      emit({ type: "block", block });
    }
    runs.set(id, recipe);
    kept = true;
    const streamMs = fresh ? 1200 : 0;
    const ms = (isBase(recipe) ? 3200 : 3900) + streamMs;
    return { version: "0.1.0", recipe, adapter: "fake", blocks, layers, ms, streamMs, peakGpuBytes: 41_000_000 };
  }

  async function measure(id: string, emit: (e: RunEvent) => void): Promise<Evaluation> {
    const figure = figureOf(runs.get(id)!);
    for (let m = 0; m < 12; m++) {
      await step();
      emit({ type: "progress", done: m + 1, total: 12, where: `block ${m + 1}` });
    }
    const blocks = figure.deltaEvaluation.map((delta, index) => ({ index, delta, relativeDelta: figure.relativeDelta[index] }));
    return { perplexityBefore: figure.perplexityBefore, perplexity: figure.perplexity, blocks, tokens: 2048, windows: 16, ms: 900 };
  }

  async function write(emit: (e: RunEvent) => void, name: string, zip: boolean): Promise<ExportSummary> {
    for (let i = 0; i < 4; i++) {
      await step();
      emit({ type: "progress", done: i + 1, total: 4, where: "writing" });
    }
    const files = ["config.json", "tokenizer.json", "tokenizer_config.json", "recipe.json", "README.md", "model.safetensors"];
    return { files, bytes: 1_500_000, zip: zip ? new File(["zip"], `${name}.zip`) : null };
  }

  /** A base loses more answers than QEP does; by length none changes. */
  async function score(recipe: Recipe | null, limit: number | null, emit: (e: RunEvent) => void): Promise<TasksResult> {
    for (let i = 0; i < 8; i++) {
      await step();
      emit({ type: "progress", done: i + 1, total: 8, where: "choices" });
    }
    const kinds = ["who", "where", "count", "need"].map((kind) => ({ kind, questions: (limit ?? 200) / 4 }));
    const rows = [...kinds, { kind: "all", questions: limit ?? 200 }];
    const error = (p: number, n: number) => Math.sqrt((p * (1 - p)) / n);
    const scores = rows.map(({ kind, questions }) => ({
      kind,
      questions,
      accuracy: 0.8,
      accuracyError: error(0.8, questions),
      normalizedAccuracy: 0.6,
      normalizedAccuracyError: error(0.6, questions),
    }));
    const changes = rows.map(({ kind, questions }) => {
      const lost = Math.round(questions * (recipe && isBase(recipe) ? 0.2 : 0.04));
      const change = (1 - lost) / questions;
      const accuracy = {
        before: 0.8,
        after: 0.8 + change,
        lost,
        won: 1,
        error: Math.sqrt(((lost + 1) / questions - change ** 2) / questions),
        chance: lost > 8 ? 0.001 : 0.5,
      };
      return { kind, questions, accuracy, normalizedAccuracy: { before: 0.6, after: 0.6, lost: 0, won: 0, error: 0, chance: 1 } };
    });
    return { scores, changes: recipe && changes };
  }

  const answers: { [M in keyof StudioApi]: (...args: Parameters<StudioApi[M]>) => unknown } = {
    init: () => {
      if (options.gpu instanceof QuantError && !calls.includes("init(true)")) throw options.gpu;
      if (calls.includes("init(true)")) return { kind: "cpu", description: "float64 reference", software: true, limits: null };
      return {
        kind: "gpu",
        description: "Google SwiftShader Device (LLVM 16.0.0)",
        software: true,
        limits: { buffer: 2 ** 30, binding: 2 ** 30 },
        ...options.gpu,
      };
    },
    openDemo: () => ({ ...demoModel, ...options.model }),
    openFiles: (_, label) => ({ ...demoModel, label, ...options.model }),
    plan: (recipe) => plan(recipe),
    interrupted: () => [],
    resume: (id, emit) => run(id, runs.get(id)!, emit),
    run: ({ id, recipe }, emit) => run(id, recipe, emit),
    measure: ({ runId }, emit) => measure(runId, emit),
    layerFacts: (_: string, name: string) => ({
      name,
      shape: [64, 64],
      before: { low: -1, high: 1, counts: Array.from({ length: 64 }, (_, i) => Math.round(100 * Math.exp(-(((i - 31.5) / 12) ** 2)))) },
      after: { low: -1, high: 1, counts: Array.from({ length: 64 }, (_, i) => (i % 8 === 4 ? 300 : 0)) },
    }),
    measureModel: async (_, emit) => {
      await step();
      emit({ type: "progress", done: 1, total: 1, where: "block 12" });
      return { perplexity: 3.59, tokens: 2048, windows: 16 };
    },
    scoreTasks: ({ runId, limit }, emit) => score(runId === null ? null : runs.get(runId)!, limit, emit),
    exportRun: (_, target, emit) => write(emit, target.name, target.kind === "zip"),
    cancel: () => {
      cancelled = true;
    },
    forget: (id) => {
      runs.delete(id);
    },
    liveBytes: () => 12_600_000 + 65_536 * runs.size,
  };

  return {
    calls,
    alphas,
    options,
    async call(method, ...args) {
      if (method !== "liveBytes") calls.push(method === "init" ? `init(${args[0]})` : method);
      const failing = options.fail?.[method];
      if (method !== "cancel" && method !== "forget" && method !== "liveBytes") {
        cancelled = false;
        await pause();
      }
      if (failing) throw failing;
      const answer = answers[method] as unknown as (...a: unknown[]) => unknown;
      return (await answer(...args)) as never;
    },
    close() {},
  };
}

function layerOf(recipe: Recipe, figure: Figure, block: number, kind: LayerKind): LayerReport {
  const group = ["gate_proj", "up_proj", "down_proj"].includes(kind) ? "mlp" : "self_attn";
  const name = `model.layers.${block}.${group}.${kind}`;
  const alpha = block === 0 && !["o_proj", "gate_proj", "up_proj"].includes(kind) ? 0 : alphaOf(recipe, name);
  return {
    name,
    kind,
    block,
    method: recipe.method,
    bits: recipe.bits,
    alpha,
    relativeError: figure.layers[name] ?? 0.02,
    damping: isBase(recipe) ? [] : [recipe.qep.damp],
    retries: 0,
    curve: alpha === 0 ? null : { base: 0.02, slope: 0.012, curvature: 0.015 },
    heldOut: null,
    outliers: [{ input: 7, times: 12.5 }],
    fallback: null,
    ms: kind === "down_proj" ? 31.4 : 8.2,
  };
}
