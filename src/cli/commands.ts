import type { Cutting } from "../engine/tokens";
import { givenAs } from "../errors";
import { diskSourceFile } from "../io/node";
import { summarize } from "../model/summary";
import { readQuestions } from "../model/tasks";
import { openAny } from "../reopen/open";
import { klText, noDeltaTexts, riseText, sameTopText } from "../results/divergence";
import type { Comparison, Perplexity } from "../results/measures";
import { countOf, evaluateOptions, inspectOptions, parseCommandLine, tasksOptions, wrong } from "./args";
import { withEngine } from "./engine";
import { threadHelper } from "./helper";
import { idleOptions } from "./idle";
import { sourceAt } from "./source";
import { listener, megabytes, result, safe, say } from "./terminal";
import { textFile } from "./text";

/** `qep-studio inspect`: what a checkpoint is, from its headers and config. */
export async function inspect(args: string[]): Promise<void> {
  const { folder, options } = parseCommandLine(args, inspectOptions);
  const summary = summarize(await openAny(await sourceAt(folder)));
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

/** `qep-studio evaluate`: a checkpoint's perplexity on a text and, with --against, how far its predictions are from its original's. */
export async function evaluate(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parseCommandLine(args, evaluateOptions);
  const path = options.text ?? options.tokens;
  if (!path || (options.text && options.tokens)) throw wrong("give either --text or --tokens");
  const cutting: Cutting = {
    windows: options.windows === undefined || options.windows === "all" ? null : countOf("windows", options.windows),
    windowLength: options["window-length"] === undefined ? 256 : countOf("window-length", options["window-length"], 2),
  };
  for (const sentence of idleOptions(options)) say(sentence);
  const source = await sourceAt(folder);
  const original = options.against === undefined ? null : await sourceAt(options.against);
  await withEngine(options, null, async (engine) => {
    const started = performance.now();
    await engine.open(source);
    const text = { file: await textFile(path), field: options["text-field"] };
    const measured = original
      ? await engine.measureAgainst(original, text, cutting, listener(), signal)
      : await engine.measureModel(text, cutting, listener(), signal);
    const adapter = (await engine.start()).ops.adapter.description;
    const value = { ...measured, adapter, ms: performance.now() - started };
    result(options.json ? JSON.stringify(value) : measuredText(measured));
  });
}

function measuredText(measured: Perplexity | Comparison): string {
  const { perplexity, windows, tokens } = measured;
  const alone = `perplexity ${perplexity.toFixed(4)} over ${windows} windows of ${tokens / windows} (${tokens} tokens)`;
  if (!("divergence" in measured)) return alone;
  const { perplexityBefore, divergence, noDelta } = measured;
  return [
    `${alone}, ${perplexityBefore.toFixed(4)} for the original: ${riseText(divergence)}`,
    `KL divergence ${klText(divergence)}`,
    `same top token ${sameTopText(divergence)}`,
    ...(noDelta ? [`no Δ_m: ${noDeltaTexts[noDelta]}`] : []),
  ].join("\n");
}

/** `qep-studio tasks`: a checkpoint's accuracy on multiple-choice questions. */
export async function tasks(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parseCommandLine(args, tasksOptions);
  if (!options.tasks) throw wrong("--tasks is missing", "Name a question file: .jsonl, .csv or .parquet.");
  const limit = options.limit === undefined ? undefined : countOf("limit", options.limit);
  for (const sentence of idleOptions(options)) say(sentence);
  const source = await sourceAt(folder);
  const all = await givenAs("text", async () => readQuestions(await diskSourceFile(options.tasks!), threadHelper(signal).parquet));
  const questions = all.slice(0, limit);
  await withEngine(options, null, async (engine) => {
    await engine.open(source);
    const { scores } = await engine.scoreTasks(null, questions, listener(), signal);
    const adapter = (await engine.start()).ops.adapter.description;
    if (options.json) return result(JSON.stringify({ scores, adapter }));
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
