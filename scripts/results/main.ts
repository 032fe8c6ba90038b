/** `npm run results -- [--only NAME]… [--fresh] [--render]`, started by scripts/results.mjs in the project's folder. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { wrong } from "../../src/cli/args";
import { QuantError } from "../../src/errors";
import { memoryScratch } from "../../src/io/scratch";
import type { Question } from "../../src/model/question";
import { Activations } from "../../src/ops/activations";
import { createGpuOps } from "../../src/ops/gpu";
import { openNodeGpu } from "../../src/ops/gpu/node";
import { Cache, fill, fingerprint } from "./cache";
import { type Bench, measureOriginal, measureRecipe, openBench } from "./measure";
import { oracleOf, renderPage } from "./page";
import { dataPath } from "./render";
import type { Measurement, Oracle, Original, Results, Size } from "./types";

const root = process.cwd();
const original = "original";

function chosen(names: string[], only: string[] | undefined): string[] {
  const unknown = only?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw wrong(`--only ${unknown} is no recipe`, `There are ${names.join(", ")}.`);
  return only ?? names;
}

async function measure(oracle: Oracle, only: string[] | undefined, fresh: boolean): Promise<Results> {
  const ops = await createGpuOps(await openNodeGpu());
  const adapter = ops.adapter.description;
  const key = fingerprint(root, adapter);
  const cache = new Cache<Measurement | Original>(join(root, ".results", key));
  const bench = await openBench(root, new Activations(ops, async () => memoryScratch()));
  const names = chosen([original, ...Object.keys(oracle)], only);
  console.log(`On ${adapter}; finished measurements are kept in .results/${key}.`);
  await fill(cache, names, fresh, (name) => measureOne(bench, oracle, name));
  const size = ({ windows, length }: Size) => ({ windows, length });
  const { blocks, hidden } = bench.model.spec;
  return {
    adapter,
    fingerprint: key,
    model: { blocks, hidden },
    calibration: size(bench.calibration),
    evaluation: size(bench.evaluation),
    chance: chanceOf(bench.questions),
    original: cache.get(original) as Original | null,
    recipes: Object.keys(oracle).flatMap((name) => (cache.get(name) as Measurement | null) ?? []),
  };
}

/** The mean of 1 / choices. */
function chanceOf(questions: readonly Question[]): Record<string, number> {
  const mean = (some: readonly Question[]) => some.reduce((sum, q) => sum + 1 / q.choices.length, 0) / some.length;
  const kinds = [...new Set(questions.map((q) => q.kind))];
  return Object.fromEntries([...kinds.map((kind) => [kind, mean(questions.filter((q) => q.kind === kind))]), ["all", mean(questions)]]);
}

async function measureOne(bench: Bench, oracle: Oracle, name: string): Promise<Measurement | Original> {
  const started = performance.now();
  const measured = name === original ? await measureOriginal(bench) : await measureRecipe(bench, name, oracle[name].flags);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`${name}: perplexity ${measured.perplexity.toFixed(4)} (${seconds} s)`);
  return measured;
}

function write(results: Results, oracle: Oracle): void {
  renderPage(root, results);
  console.log(`docs/results.md tells of ${results.recipes.length} of ${Object.keys(oracle).length} recipes.`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: "string", multiple: true }, fresh: { type: "boolean" }, render: { type: "boolean" } },
  });
  const oracle = oracleOf(root);
  write(
    values.render ? JSON.parse(readFileSync(join(root, dataPath), "utf8")) : await measure(oracle, values.only, values.fresh === true),
    oracle,
  );
}

// Exits by itself: a native WebGPU instance keeps Node's event loop alive.
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof QuantError ? error.message : error);
    process.exit(1);
  },
);
