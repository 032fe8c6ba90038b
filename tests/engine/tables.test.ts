/** Embeddings and head that a run rounds: they are committed with its blocks, measured as they are exported, and in the quantized stream from the start. */
import { expect, test } from "vitest";
import { roundTable } from "../../src/engine/tables";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { entriesOf, exportJob } from "../../src/export/entries";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { memoryScratch } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { valuesOfRows } from "../../src/ops/packed";
import type { PackedLayer } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { evaluate, perplexityOf, run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const config = { ...tinyConfig, hidden_size: 256, head_dim: 64, intermediate_size: 256, num_hidden_layers: 2 };
const tokens = tinyTokens(2, 8);
const ops = createCpuOps();

async function ran(change: Partial<Recipe>, tied = false) {
  const model = await openModel(tinySource({ ...config, tie_word_embeddings: tied }));
  const done = await run({ ops, model, tokens, recipe: recipeWith({ method: "rtn", ...change }, { alpha: 0 }) });
  return { model, ...done };
}

test.each([
  { tied: false, kinds: { "model.embed_tokens": "q2_k", lm_head: "q6_k" } },
  { tied: true, kinds: { "model.embed_tokens": "q6_k" } },
])("are what llama.cpp gives them, and measured as they are exported: tied $tied", async ({ tied, kinds }) => {
  const { model, plan, report, quantized } = await ran({ type: "Q2_K" }, tied);
  const tables = await Promise.all(plan.tables.map(async ({ name }) => [name, ((await quantized.layer(name)) as PackedLayer).gridKind]));
  expect(Object.fromEntries(tables)).toEqual(kinds);
  const measured = await evaluate({ ops, model, tokens, emit: () => {} }, quantized);
  // The run's own stream began with them too.
  for (const [m, block] of measured.blocks.entries()) expect(report.blocks[m].relativeDelta / block.relativeDelta).toBeCloseTo(1, 6);
  const sink = memorySink();
  await exportCheckpoint({ model, plan, report, quantized, evaluations: [], sink });
  const files = [...sink.files].map(([name, bytes]) => bytesFile(name, bytes));
  // f16 rounds what was measured.
  const again = await perplexityOf({ ops, model: await openModel(memorySource("out", files)), tokens, emit: () => {} });
  expect(Math.abs(again.perplexity / measured.perplexity - 1)).toBeLessThan(2e-3);
  const kept = await ran({ type: "Q2_K", vocabulary: "kept" }, tied);
  expect(kept.plan.tables).toEqual([]);
  const without = await evaluate({ ops, model, tokens, emit: () => {} }, kept.quantized);
  expect(without.blocks[0].delta).toBeLessThan(measured.blocks[0].delta);
  expect(Math.abs(without.perplexity / measured.perplexity - 1)).toBeGreaterThan(4e-3);
});

test("an interrupted run goes on with the same tables", async () => {
  const model = await openModel(tinySource(config));
  const recipe = recipeWith({ method: "rtn", type: "Q4_K" }, { alpha: 0 });
  const scratch = memoryScratch();
  const stop = new AbortController();
  const emit = (event: { type: string }) => {
    if (event.type === "commit") stop.abort();
  };
  await expect(run({ ops, model, tokens, recipe, scratch, signal: stop.signal, emit })).rejects.toThrow("Cancelled");
  const [resumed, whole] = [await run({ ops, model, tokens, recipe, scratch }), await run({ ops, model, tokens, recipe })];
  for (const name of ["model.embed_tokens", "lm_head"]) {
    const of = async ({ quantized }: typeof whole) => [...valuesOfRows((await quantized.layer(name)) as PackedLayer, [0, 17, 49])];
    expect(await of(resumed)).toEqual(await of(whole));
  }
  expect(resumed.report.blocks).toEqual(whole.report.blocks);
});

test("a format that has no place for them refuses them before the run", async () => {
  const model = await openModel(tinySource(config));
  const rules = [{ match: "*_proj", type: "none" as const }];
  const refused = (change: Partial<Recipe>) => () =>
    entriesOf(exportJob(model, resolve(recipeWith({ type: "Q4_0", rules, groupSize: 32, format: "gptq", ...change }), model)));
  expect(refused({})).toThrow(/model\.embed_tokens would be rounded, and the gptq format has no place for it/);
  expect(refused({ vocabulary: "kept" })).not.toThrow();
});

test("a table too large for one slice is rounded as in one", async () => {
  const model = await openModel(tinySource(config));
  // Seven rows of 256 floats; 50 rows are seven slices and a row.
  for (const type of ["Q2_K", "Q6_K", "Q4_1"] as const)
    for (const table of resolve(recipeWith({ type }), model).tables) {
      const shares: number[] = [];
      const sliced = await roundTable(ops, model, table, undefined, { bytes: 7 * 1024, onShare: (share) => shares.push(share) });
      expect(sliced).toEqual(await roundTable(ops, model, table));
      expect(shares).toEqual([7, 14, 21, 28, 35, 42, 49, 50].map((row) => row / 50));
    }
});
