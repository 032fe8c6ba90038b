import { constants } from "node:fs";
import { access, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Engine } from "../engine/engine";
import type { Beginning } from "../engine/runs";
import type { GivenText } from "../engine/tokens";
import { asQuantError } from "../errors";
import { checkOutput, folderSink, folderSource } from "../io/node";
import { claimFolder } from "../io/node-scratch";
import { explained } from "../io/sink";
import { idleFlags } from "../recipe/flags";
import { bitsText } from "../recipe/formats";
import { type Recipe, recipeTitle } from "../recipe/recipe";
import type { RunEvent } from "../results/events";
import type { PlanSummary } from "../results/plan";
import type { RunReport } from "../results/report";
import { parseCommandLine, quantizeOptions, wrong } from "./args";
import { withEngine } from "./engine";
import { idleOptions, typeIsDense } from "./idle";
import { beforeLeaving } from "./interrupt";
import { runFolder } from "./platform";
import { recipeOf } from "./recipe";
import { listener, megabytes, say } from "./terminal";
import { textFile } from "./text";

/** The id of the one run that is kept beside an output folder. */
const id = "run";

/** `qep-studio quantize`: quantizes a checkpoint and writes the result, or resumes an interrupted run. */
export async function quantize(args: string[], signal: AbortSignal): Promise<void> {
  const { folder, options } = parseCommandLine(args, quantizeOptions);
  const { out, calibration, report: reportFile } = options;
  if (!out) throw wrong("--out is missing", "Name the folder to write.");
  await recipeOf(options);
  await checkOutput(out, folder);
  if (reportFile && !isInside(reportFile, out)) await checkReport(reportFile);
  const started = performance.now();
  const source = await folderSource(folder);
  const place = runFolder(out);
  await withEngine(options, place, async (engine) => {
    const model = await engine.open(source);
    const { shape } = model;
    const recipe = await recipeOf(options, model);
    for (const { field } of idleFlags(recipe, options)) say(`--${field.flag} has no effect in this run.`);
    for (const sentence of [...idleOptions(options, shape !== null), ...typeIsDense(recipe, options)]) say(sentence);
    if (shape && !calibration)
      throw wrong("--calibration is missing", "Give a .txt, .jsonl or .npy file; Δ is measured on it, and QEP needs it.");
    const text = shape ? { file: await textFile(calibration!), field: options["text-field"] } : null;
    // Before anything of the output is touched: another process may be working on it.
    const release = await claimFolder(place);
    try {
      await runAndExport(engine, recipe, text, { ...options, out, folder, place }, signal);
      say(`Done: ${out} in ${((performance.now() - started) / 1000).toFixed(1)} s, read back and verified.`);
    } finally {
      await release();
    }
  });
}

interface Where {
  out: string;
  /** The model's folder. */
  folder: string;
  place: string;
  /** The file that gets the run's report. */
  report?: string;
  force?: boolean;
  resume?: boolean;
}

/** What lies in the output has a folder when the export is done. */
const isInside = (file: string, folder: string): boolean => resolve(file).startsWith(resolve(folder) + sep);

/** Asks before a run of hours, not after it. @throws QuantError `write-failed`. */
const checkReport = (file: string): Promise<void> =>
  explained(file, async () => {
    await access(dirname(file), constants.W_OK);
    if ((await stat(file).catch(() => null))?.isDirectory()) throw new Error("it is a folder");
  });

const writeReport = (file: string, report: RunReport): Promise<void> =>
  explained(file, () => writeFile(file, `${JSON.stringify(report, null, 2)}\n`));

async function runAndExport(
  engine: Engine,
  recipe: Recipe,
  text: GivenText | null,
  { out, folder, place, report: reportFile, force, resume }: Where,
  signal: AbortSignal,
): Promise<void> {
  const sink = await folderSink(out, { force, input: folder, temporary: join(place, "export") });
  beforeLeaving(() => sink.discardNow());
  try {
    const report = await runKept(engine, recipe, text, resume ? "resume" : force ? "replace" : "new", signal);
    await engine.export(id, sink, () => {}, signal);
    if (reportFile) await writeReport(reportFile, report);
    await engine.forget(id);
  } finally {
    await sink.abort();
  }
}

/** Quantizes; where it stops before its end, says how to resume it. */
async function runKept(engine: Engine, recipe: Recipe, text: GivenText | null, beginning: Beginning, signal: AbortSignal) {
  sayPlan(recipe, await engine.plan(recipe, text, signal));
  const listen = listener();
  let blocks = 0;
  let done = 0;
  const count = (event: RunEvent) => {
    if (event.type === "start") blocks = event.blocks;
    if (event.type === "commit") done = event.done;
    listen(event);
  };
  let isTold = false;
  const sayKept = () => {
    if (done > 0 && !isTold)
      say(`${done} of ${blocks} blocks are done and kept: the same command with --resume goes on with block ${done + 1}.`);
    isTold = true;
    return true;
  };
  beforeLeaving(sayKept);
  try {
    return await engine.run({ id, recipe, text, beginning }, count, signal);
  } catch (e) {
    const { code } = asQuantError(e);
    if (code !== "other-run" && code !== "run-exists") sayKept();
    throw e;
  }
}

function sayPlan(
  recipe: Recipe,
  { bytesIn, bytesOut, bitsPerWeight, peakGpuBytes, peakHostBytes, scratchBytes, windows, tokens, notes, warnings }: PlanSummary,
): void {
  say(
    `${recipeTitle(recipe)}: ${megabytes(bytesIn)} → ${megabytes(bytesOut)} (${recipe.format}), ${bitsText(bitsPerWeight, recipe.format)}, peak memory about ${megabytes(peakGpuBytes)} on the GPU and ${megabytes(peakHostBytes)} beside it, up to ${megabytes(scratchBytes)} kept on disk beside the output`,
  );
  // A .npy file of two dimensions has windows of its own.
  if (windows > 0 && tokens !== windows * recipe.calibration.windowLength)
    say(`The file's windows are of ${tokens / windows} tokens, and --window-length has no effect.`);
  for (const sentence of [...notes, ...warnings]) say(sentence);
}
