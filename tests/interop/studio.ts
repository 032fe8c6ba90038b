/** Our own side: the built command line, and what to run it on. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { demoFolder } from "../support/demo";
import { root } from "../support/tree";
import { makeModel, type Size } from "./model";

/** A checkpoint with its texts. */
export interface Subject {
  folder: string;
  calibration: string;
  evaluation: string;
}

const tokens = (name: string) => join(root, "tests/fixtures/demo", `${name}.npy`);
/** Grouped-query attention, an output matrix of its own. */
export const demo: Subject = { folder: demoFolder, calibration: tokens("calibration"), evaluation: tokens("evaluation") };

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
