/** Our own side: the built command line, or the engine itself, and what to run it on. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { folderSink, folderSource } from "../../src/io/node";
import { type TokenWindows, windowsFromNpy } from "../../src/model/calibration";
import { openModel } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import { createCpuOps } from "../../src/ops/cpu";
import type { FormatId, Recipe } from "../../src/recipe/recipe";
import { demoFolder, demoTokens } from "../support/demo";
import { perplexityOf as perplexityIn, run } from "../support/engine";
import { root } from "../support/tree";
import { makeModel, npy, type Size } from "./model";

/** A checkpoint with its texts. */
export interface Subject {
  folder: string;
  calibration: string;
  evaluation: string;
}

const tokens = (name: string) => join(root, "tests/fixtures/demo", `${name}.npy`);
/** Grouped-query attention, an output matrix of its own. */
export const demo: Subject = { folder: demoFolder, calibration: tokens("calibration"), evaluation: tokens("evaluation") };

/** With the first windows of its evaluation text, written to a file: enough where two perplexities of the same weights are compared. */
export function shortDemo(evaluation: string): Subject {
  const { ids, length } = demoTokens("evaluation");
  writeFileSync(evaluation, npy(ids.subarray(0, 4 * length), [4, length]));
  return { ...demo, evaluation };
}

export function madeModel(folder: string, size: Size): Subject {
  makeModel(folder, size);
  return { folder, calibration: join(folder, "tokens.npy"), evaluation: join(folder, "tokens.npy") };
}

/** stdout of the command line. */
function studio(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "bin/qep-studio.mjs"), ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`qep-studio ${args.join(" ")}\nended with ${status}: ${stderr}`);
  return stdout;
}

/** Quantizes into `out`. Two windows: here it matters only that the same was done twice. */
export function quantize(subject: Subject, out: string, flags: readonly string[]): string {
  studio("quantize", subject.folder, "--out", out, "--calibration", subject.calibration, "--windows", "2", ...flags);
  return out;
}

export const perplexityOf = (folder: string, { evaluation }: Subject, flags: readonly string[] = []): number =>
  JSON.parse(studio("evaluate", folder, "--tokens", evaluation, "--json", ...flags)).perplexity;

/**
 * The packed export of a run on the float64 reference and a dense one of the same codes, in `out`; and the perplexity that the run's weights have, in f16, and that of the
 * packed export, opened again.
 * @param format that it is packed in, where that is not the recipe's.
 */
export async function exportTwice(
  { folder, calibration, evaluation }: Subject,
  recipe: Recipe,
  out: string,
  format: FormatId = recipe.format,
): Promise<{ packed: string; dense: string; perplexity: number; reopened: number }> {
  const ops = createCpuOps();
  const opened = await openModel(await folderSource(folder));
  const model = recipe.rotation === null ? opened : await rotateModel(opened, recipe.rotation);
  const { plan, report, quantized } = await run({ ops, model, tokens: firstWindow(calibration), recipe });
  const write = async (id: FormatId) => {
    const change = { ...recipe, format: id };
    const sink = await folderSink(join(out, id));
    await exportCheckpoint({
      model,
      plan: { ...plan, recipe: change },
      report: { ...report, recipe: change },
      quantized,
      evaluations: [],
      sink,
    });
    return join(out, id);
  };
  const [packed, dense] = [await write(format), await write("dense")];
  const tokens = windowsFromNpy("tokens.npy", readFileSync(evaluation), 256);
  const measure = async (path: string) =>
    (await perplexityIn({ ops, model: await openModel(await folderSource(path)), tokens, emit: () => {} })).perplexity;
  return { packed, dense, perplexity: await measure(dense), reopened: await measure(packed) };
}

/** One is enough: it matters only that both exports hold what one run made. */
function firstWindow(file: string): TokenWindows {
  const { length, ids } = windowsFromNpy("tokens.npy", readFileSync(file), 256);
  return { windows: 1, length, ids: ids.subarray(0, length) };
}
