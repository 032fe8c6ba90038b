/** Whole runs where one binding holds 64 KiB, so that weights, statistics, factors, activations and logits all lie in panels. */

import { expect, test } from "vitest";
import { type Model, openModel } from "../../src/model/checkpoint";
import type { GpuOps } from "../../src/ops/gpu/index";
import type { Recipe } from "../../src/recipe/recipe";
import { demoTokens, openDemo } from "../support/demo";
import { evaluate, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const [whole, cut] = [await openGpuOps(), await openGpuOps({ limits: { maxStorageBufferBindingSize: 64 * 1024 } })];

/** Sizes that no tile, panel or workgroup divides. */
const oddConfig = {
  ...tinyConfig,
  ...{
    hidden_size: 92,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 46,
    intermediate_size: 251,
    num_hidden_layers: 2,
    vocab_size: 600,
  },
};
const [demo, odd] = [await openDemo(), await openModel(tinySource(oddConfig))];
const demoWindows = demoTokens("calibration");
const oddWindows = tinyTokens(1, 150, 600);

const qep = { alpha: 0.5 };
const recipes: Record<string, Recipe> = {
  "RTN + QEP": recipeWith({ method: "rtn", bits: 3, groupSize: -1 }, qep),
  "GPTQ + QEP, act-order": recipeWith({ method: "gptq", bits: 3, groupSize: -1, gptq: { ...recipeWith().gptq, actOrder: true } }, qep),
  "AWQ + QEP": recipeWith({ method: "awq", bits: 3, groupSize: -1 }, qep),
  "QuIP + QEP": recipeWith({ method: "quip", bits: 3, groupSize: -1 }, qep),
};

/** All that a run decides and measures, without its times. */
async function outcome(ops: GpuOps, model: Model, recipe: Recipe) {
  const tokens = model === demo ? demoWindows : oddWindows;
  const { report, quantized } = await run({ ops, model, tokens, recipe: { ...recipe, blocks: 1 } });
  const codes = await Promise.all(report.layers.map(({ name }) => quantized.layer(name)));
  const { perplexity } = await evaluate({ ops, model, tokens, emit: () => {} }, quantized);
  return { codes, deltas: report.blocks.map(({ delta }) => delta), errors: report.layers.map((l) => l.relativeError), perplexity };
}

const all = Object.keys(recipes).flatMap((name) => [["the demo", name] as const, ["an odd-sized model", name] as const]);
const few = [["an odd-sized model", "GPTQ + QEP, act-order"] as const];

test.each(process.env.QEP_CONFORMANCE === "all" ? all : few)("%s, %s: codes, errors and Δ are the same to the bit", async (which, name) => {
  const model = which === "the demo" ? demo : odd;
  const [actual, expected] = [await outcome(cut, model, recipes[name]), await outcome(whole, model, recipes[name])];
  expect(actual.codes).toEqual(expected.codes);
  expect(actual.deltas).toEqual(expected.deltas);
  expect(actual.errors).toEqual(expected.errors);
  // The vocabulary is seen in narrower slices, whose sums round by themselves.
  expect(actual.perplexity / expected.perplexity).toBeCloseTo(1, 5);
  expect(cut.liveBytes).toBe(0);
});
