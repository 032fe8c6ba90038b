/** `npm run results -- --beside [--model FOLDER]… [--type TYPE]… [--way NAME]… [--draws N] [--fresh]`: folders with model/, calibration and evaluation (.jsonl or .npy). */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { wrong } from "../../../src/cli/args";
import { QuantError } from "../../../src/errors";
import { createGpuOps } from "../../../src/ops/gpu";
import { openNodeGpu } from "../../../src/ops/gpu/node";
import { Cache, fill, fingerprint } from "../cache";
import { renderPage } from "../page";
import { type Bench, drawSize, type File, measure, openBench, originalIn, scoreOf } from "./bench";
import { pythonVersions } from "./jobs";
import { withRowsOf } from "./merge";
import { calibrationWindows, evaluationWindows, filesOf, fileTypes, seeds, ways, windowLength } from "./plan";
import type { Beside, Scored } from "./types";

const root = process.cwd();

const keyOf = (type: string, way: string, seed: number) => `${type}-${Object.keys(ways).indexOf(way)}-${seed}`;

interface Chosen {
  ways: readonly string[];
  draws: number;
  fresh: boolean;
}

/** Measures what is not known yet; docs/results is written after every file, as the whole takes hours on a software adapter. */
async function besideModel(folder: string, adapter: string, types: string[], chosen: Chosen): Promise<void> {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "tests/interop/clients/package.json"), "utf8"));
  const versions = {
    "libllama of node-llama-cpp": optionalDependencies["@node-llama-cpp/linux-x64"],
    ...pythonVersions(["numpy", "torch", "transformers"]),
  };
  const key = fingerprint(root, JSON.stringify([adapter, versions, contentOf(folder)]));
  const bench = await openBench(folder, join(root, ".results", `beside-${key}`));
  const cache = new Cache<File>(join(bench.work, "scores"));
  const original = originalIn(bench.work);
  await fill(cache, ["original"], chosen.fresh, async () => ({ ...scoreOf(bench, original), bytes: statSync(original).size }));
  // The first draw of everything before the second of anything.
  const wanted = filesOf(types)
    .filter(([, way, seed]) => chosen.ways.includes(way) && seeds.indexOf(seed) < chosen.draws)
    .sort(([, , a], [, , b]) => a - b);
  for (const file of wanted) {
    await fill(cache, [keyOf(...file)], chosen.fresh, async () => measure(bench, ...file));
    store(besideOf(bench, cache, versions, { adapter, build: key }));
  }
}

function store(found: Beside): void {
  const path = join(root, `docs/results/beside-${found.model}.json`);
  const before: Beside | null = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
  writeFileSync(path, `${JSON.stringify(before ? withRowsOf(before, found) : found, null, 1)}\n`);
  renderPage(root);
}

type Made = Pick<Scored, "adapter" | "build">;

const besideOf = (bench: Bench, cache: Cache<File>, versions: Beside["versions"], made: Made): Beside => ({
  model: bench.name,
  versions,
  calibration: { windows: drawSize(bench.pool), length: bench.pool.length, of: bench.pool.windows },
  evaluation: { windows: bench.evaluation.windows, length: bench.evaluation.length },
  original: cache.get("original")!,
  rows: rowsOf(cache, made),
});

/** All that this build has measured by now, of whatever call. */
function rowsOf(cache: Cache<File>, made: Made): Scored[] {
  return Object.keys(fileTypes).flatMap((type) =>
    Object.keys(ways).flatMap((method): Scored[] => {
      const files = seeds.flatMap((seed) => cache.get(keyOf(type, method, seed)) ?? []);
      const scores = files.map(({ perplexity, divergence, agreement }) => ({ perplexity, divergence, agreement }));
      return files.length ? [{ type, method, bytes: files.map(({ bytes }) => bytes), scores, ...made }] : [];
    }),
  );
}

/** One hash over the model, its texts, and what is done with them. */
function contentOf(folder: string): string {
  // Not the ways' names: they only show.
  const settings = [fileTypes, Object.values(ways), seeds, windowLength, calibrationWindows, evaluationWindows];
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const part of [folder, join(folder, "model")])
    for (const name of readdirSync(part).sort())
      if (statSync(join(part, name)).isFile()) hash.update(`\0${name}\0`).update(readFileSync(join(part, name)));
  for (const name of ["bench.ts", "original.ts", "llama_jobs.py"]) hash.update(readFileSync(join(root, "scripts/results/beside", name)));
  return hash.digest("hex");
}

const defaults = () => ["public/demo", "../shared/wide"].filter((folder) => existsSync(join(root, folder, "model")));

/** @throws QuantError `bad-argument` for a name that there is not. */
function checkNames(option: string, given: readonly string[] | undefined, names: readonly string[]): void {
  const unknown = given?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw wrong(`--${option} ${unknown} is not compared`, `There are ${names.join("; ")}.`);
}

async function main(): Promise<void> {
  const list = { type: "string", multiple: true } as const;
  const { values } = parseArgs({
    options: { beside: { type: "boolean" }, model: list, type: list, way: list, draws: { type: "string" }, fresh: { type: "boolean" } },
  });
  checkNames("type", values.type, Object.keys(fileTypes));
  checkNames("way", values.way, Object.keys(ways));
  const draws = Number(values.draws ?? seeds.length);
  if (!seeds.includes(draws)) throw wrong(`--draws is ${values.draws}`, `Use 1 to ${seeds.length}.`);
  const gpu = await createGpuOps(await openNodeGpu());
  for (const folder of values.model ?? defaults()) {
    const config = join(folder, "model/config.json");
    if (!existsSync(config))
      throw wrong(`--model ${folder} has no model/config.json`, "Name a folder with model/, calibration and evaluation.");
    const model = JSON.parse(readFileSync(config, "utf8"));
    // Elsewhere K-quants fall back to other types, and a file says little about the type that it is named after.
    const types = values.type ?? Object.keys(fileTypes).filter((type) => model.hidden_size % 256 === 0 || !type.includes("_K"));
    await besideModel(folder, gpu.adapter.description, types, {
      ways: values.way ?? Object.keys(ways),
      draws,
      fresh: values.fresh === true,
    });
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof QuantError ? error.message : error);
    process.exit(1);
  },
);
