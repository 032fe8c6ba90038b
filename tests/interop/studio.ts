/** Our own side: the built command line, and what to run it on. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { demoFolder, demoTokens } from "../support/demo";
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
