/** One model's files, made and scored. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { resolve as absolute, basename, join } from "node:path";
import { wrong } from "../../../src/cli/args";
import { loadTokens } from "../../../src/engine/tokens";
import { diskSourceFile, folderSource } from "../../../src/io/node";
import { firstWindows, pickWindows, type TokenWindows } from "../../../src/model/calibration";
import { type Model, openModel } from "../../../src/model/checkpoint";
import { npy } from "../../../tests/interop/model";
import { llama, studio } from "./jobs";
import { writeOriginal } from "./original";
import { calibrationWindows, evaluationWindows, fileTypes, isUnpacked, seeds, type Way, ways, windowLength } from "./plan";
import type { Score } from "./types";

const root = process.cwd();

export const originalIn = (work: string): string => join(work, "original.gguf");

const ggufIn = (folder: string): string => join(folder, readdirSync(folder).find((name) => name.endsWith(".gguf"))!);

async function makeOriginal(model: Model, work: string): Promise<void> {
  const folder = join(work, "f16");
  rmSync(folder, { recursive: true, force: true });
  await writeOriginal(model, folder);
  renameSync(ggufIn(folder), originalIn(work));
}

export interface Bench {
  name: string;
  folder: string;
  work: string;
  model: Model;
  /** The windows that draws are made of. */
  pool: TokenWindows;
  evaluation: TokenWindows;
}

export type File = Score & { bytes: number };

/** The text of that name in the folder, whatever its kind, in windows. */
async function windowsIn(model: Model, folder: string, name: string): Promise<TokenWindows> {
  const file = ["jsonl", "npy"].map((kind) => join(folder, `${name}.${kind}`)).find((path) => existsSync(path));
  if (!file) throw wrong(`${folder} has no ${name}.jsonl or ${name}.npy`, "Put one beside the folder model/.");
  return loadTokens(model, await diskSourceFile(file), { windows: null, windowLength }, {});
}

const save = (path: string, { ids, windows, length }: TokenWindows) => writeFileSync(path, npy(ids, [windows, length]));
export const drawSize = (pool: TokenWindows) => Math.min(calibrationWindows, Math.floor((3 * pool.windows) / 4));

/** Opens the model and writes what both sides read: its f16 file, the evaluation windows, and each draw. */
export async function openBench(folder: string, work: string): Promise<Bench> {
  const model = await openModel(await folderSource(join(folder, "model")));
  const pool = await windowsIn(model, folder, "calibration");
  const evaluation = firstWindows(await windowsIn(model, folder, "evaluation"), evaluationWindows);
  mkdirSync(work, { recursive: true });
  save(join(work, "evaluation.npy"), evaluation);
  for (const seed of seeds) save(join(work, `draw-${seed}.npy`), pickWindows(pool, drawSize(pool), seed, "calibration").tokens);
  const original = originalIn(work);
  if (!existsSync(original)) await makeOriginal(model, work);
  return { name: basename(absolute(folder)), folder, work, model, pool, evaluation };
}

export const scoreOf = ({ work }: Bench, file: string, unpacked = false): Score =>
  llama(root, { job: "score", file, unpacked, original: originalIn(work), tokens: join(work, "evaluation.npy") });

function importanceOf({ folder, work }: Bench, seed: number): string {
  const out = join(work, `importance-${seed}.npz`);
  if (!existsSync(out)) llama(root, { job: "importance", model: join(folder, "model"), tokens: join(work, `draw-${seed}.npy`), out });
  return out;
}

function theirs(bench: Bench, type: string, drawn: boolean, seed: number): string {
  const { work } = bench;
  const target = join(work, "theirs.gguf");
  const importance = drawn ? importanceOf(bench, seed) : null;
  const { ftype, pure } = fileTypes[type];
  llama(root, { job: "quantize", source: originalIn(work), target, type: ftype, pure, importance });
  return target;
}

function ours({ folder, work }: Bench, type: string, { flags, drawn }: Way, seed: number): string {
  const out = join(work, "ours");
  rmSync(out, { recursive: true, force: true });
  const draw = join(work, `draw-${seed}.npy`);
  studio(root, [
    join(folder, "model"),
    "--out",
    out,
    "--calibration",
    draw,
    "--format",
    "gguf",
    "--type",
    type,
    ...flags!,
    ...(drawn ? [] : ["--windows", "1"]),
  ]);
  return ggufIn(out);
}

export function measure(bench: Bench, type: string, way: string, seed: number): File {
  const started = performance.now();
  const file = ways[way].flags ? ours(bench, type, ways[way], seed) : theirs(bench, type, ways[way].drawn, seed);
  const bytes = statSync(file).size;
  const found = { ...scoreOf(bench, file, isUnpacked(type, bytes)), bytes };
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`${bench.name}, ${type}, ${way}, draw ${seed}: KL ${(1000 * found.divergence).toFixed(2)}e-3 (${seconds} s)`);
  return found;
}
