import { writeFile } from "node:fs/promises";
import { scoresOf } from "../engine/accuracy";
import { perplexity } from "../engine/evaluate";
import { checkRecipe, plan } from "../engine/plan";
import { type RunResult, run } from "../engine/run";
import { answerQuestions } from "../engine/tasks";
import { type Cutting, loadCalibration, loadTokens, type Reading } from "../engine/tokens";
import { planUncalibrated, runUncalibrated } from "../engine/uncalibrated";
import { givenAs } from "../errors";
import { exportCheckpoint } from "../export/checkpoint";
import { verifyCheckpoint } from "../export/verify";
import { diskSourceFile, folderSink, folderSource } from "../io/node";
import { type Checkpoint, type Model, openCheckpoint, openModel, runnable } from "../model/checkpoint";
import { rotateModel } from "../model/rotated";
import { summarize } from "../model/summary";
import { readQuestions } from "../model/tasks";
import { openTokenizer } from "../model/tokenizer";
import type { Ops } from "../ops/ops";
import { type Recipe, recipeTitle } from "../recipe/recipe";
import type { PlanSummary } from "../results/plan";
import { evaluateOptions, inspectOptions, numberOf, parse, quantizeOptions, tasksOptions, wrong } from "./args";
import { openOps } from "./gpu";
import { threadHelper } from "./helper";
import { beforeLeaving } from "./interrupt";
import { recipeOf } from "./recipe";
import { listener, result, safe, say, tokenizing } from "./terminal";

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

export async function inspect(args: string[]): Promise<void> {
  const { folder, options } = parse(args, inspectOptions);
  const summary = summarize(await openCheckpoint(await folderSource(folder)));
  const { shape } = summary;
  if (options.json) return result(JSON.stringify(summary));
  const lines = [
    `${summary.label}: ${summary.architecture}, ${summary.parameters.toLocaleString("en")} parameters, ${summary.dtypes.join(" + ")}, ${megabytes(summary.bytes)}`,
    ...(shape
      ? [
          `${summary.blocks} blocks, hidden ${shape.hidden}, mlp ${shape.intermediate}, ${shape.heads} heads (${shape.kvHeads} kv) of ${shape.headDim}, vocabulary ${shape.vocabulary}`,
        ]
      : [`${summary.blocks} blocks, ${summary.layers} linear layers`]),
    ...(summary.packing ? [`Quantized already: ${summary.packing}. It can be evaluated, not quantized again.`] : []),
    ...summary.notes,
    ...summary.warnings,
  ];
  result(lines.map(safe).join("\n"));
}

export async function quantize(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parse(args, quantizeOptions);
  if (!options.out) throw wrong("--out is missing", "Name the folder to write.");
  const recipe = await recipeOf(options);
  const checkpoint = await openCheckpoint(await folderSource(folder));
  if (checkpoint.spec && !options.calibration)
    throw wrong("--calibration is missing", "Give a .txt, .jsonl or .npy file; Δ is measured on it, and QEP needs it.");
  const sink = await folderSink(options.out, { force: options.force, input: folder });
  beforeLeaving(() => sink.discardNow());
  try {
    await withOps(options.cpu === true, async (ops) => {
      const { model, report, quantized } = checkpoint.spec
        ? await calibrated(ops, runnable(checkpoint), recipe, { path: options.calibration!, field: options["text-field"] }, signal)
        : await uncalibrated(ops, checkpoint, recipe, signal);
      const check = async () => verifyCheckpoint(await sink.written(), model, quantized, recipe, signal);
      await exportCheckpoint({ model, quantized, report, evaluations: [], sink, check, signal });
      if (options.report) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
      say(`Done: ${options.out} in ${(report.ms / 1000).toFixed(1)} s, read back and verified.`);
    });
  } finally {
    await sink.abort();
  }
}

type Finished = RunResult & { model: Checkpoint };

const textFile = (path: string) => givenAs("text", () => diskSourceFile(path));

const reading = (signal: AbortSignal, field?: string): Reading => ({ signal, field, helper: threadHelper(signal), progress: tokenizing() });

interface GivenText {
  path: string;
  field?: string;
}

async function calibrated(ops: Ops, opened: Model, recipe: Recipe, { path, field }: GivenText, signal: AbortSignal): Promise<Finished> {
  checkRecipe(opened.spec, recipe);
  const model = recipe.rotation === null ? opened : await rotateModel(opened, recipe.rotation);
  const calibration = await loadCalibration(model, await textFile(path), recipe, reading(signal, field));
  sayPlan(recipe, plan(model, recipe, calibration, { rate: 0, stream: "passing" }));
  return { model, ...(await run({ ops, model, ...calibration, recipe, emit: listener(), signal })) };
}

async function uncalibrated(ops: Ops, model: Checkpoint, recipe: Recipe, signal: AbortSignal): Promise<Finished> {
  sayPlan(recipe, await planUncalibrated(ops, model, recipe));
  return { model, ...(await runUncalibrated(ops, model, recipe, listener(), signal)) };
}

function sayPlan(recipe: Recipe, { bytesIn, bytesOut, bitsPerWeight, peakGpuBytes, notes, warnings }: PlanSummary): void {
  say(
    `${recipeTitle(recipe)}: ${megabytes(bytesIn)} → ${megabytes(bytesOut)} (${recipe.format}), ${bitsPerWeight.toFixed(2)} bits per weight, peak memory about ${megabytes(peakGpuBytes)}`,
  );
  for (const sentence of [...notes, ...warnings]) say(sentence);
}

export async function evaluate(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parse(args, evaluateOptions);
  const path = options.text ?? options.tokens;
  if (!path || (options.text && options.tokens)) throw wrong("give either --text or --tokens");
  const cutting: Cutting = {
    windows: options.windows === undefined ? null : numberOf("windows", options.windows),
    windowLength: options["window-length"] === undefined ? 256 : numberOf("window-length", options["window-length"]),
    seed: null,
  };
  const model = await openModel(await folderSource(folder));
  await withOps(options.cpu === true, async (ops) => {
    const started = performance.now();
    const tokens = await loadTokens(model, await textFile(path), cutting, reading(signal, options["text-field"]));
    const measured = await perplexity({ ops, model, tokens, emit: listener(), signal });
    const value = { ...measured, adapter: ops.adapter.description, ms: performance.now() - started };
    result(
      options.json
        ? JSON.stringify(value)
        : `perplexity ${value.perplexity.toFixed(4)} over ${value.windows} windows (${value.tokens} tokens)`,
    );
  });
}

export async function tasks(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parse(args, tasksOptions);
  if (!options.tasks) throw wrong("--tasks is missing", "Name a .jsonl, .csv or .parquet file of questions.");
  const model = await openModel(await folderSource(folder));
  const all = await givenAs("text", async () => readQuestions(await diskSourceFile(options.tasks!), threadHelper(signal).parquet));
  const limit = options.limit === undefined ? all.length : numberOf("limit", options.limit);
  if (!Number.isInteger(limit) || limit < 1) throw wrong(`--limit is ${limit}`, "Give a whole number of questions, at least 1.");
  const questions = all.slice(0, limit);
  const encoder = await openTokenizer(model.source);
  await withOps(options.cpu === true, async (ops) => {
    const scores = scoresOf(await answerQuestions({ ops, model, emit: listener(), signal }, encoder, questions));
    if (options.json) return result(JSON.stringify({ scores, adapter: ops.adapter.description }));
    const percent = (x: number, error: number) => `${(100 * x).toFixed(1).padStart(5)} ± ${(100 * error).toFixed(1)} %`;
    result(
      scores
        .map(
          (t) =>
            `${safe(t.kind).padEnd(12)} ${percent(t.accuracy, t.accuracyError)}  by length ${percent(t.normalizedAccuracy, t.normalizedAccuracyError)}  of ${t.questions}`,
        )
        .join("\n"),
    );
  });
}

async function withOps(reference: boolean, work: (ops: Ops) => Promise<void>): Promise<void> {
  const ops = await openOps(reference);
  try {
    await work(ops);
  } finally {
    ops.destroy();
  }
}
