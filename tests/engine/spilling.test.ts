import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine";
import { identityOf } from "../../src/engine/identity";
import { peakBytes } from "../../src/engine/memory";
import { run } from "../../src/engine/run";
import { RunStore } from "../../src/engine/run-store";
import { bytesFile, memorySink } from "../../src/io/memory";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { type ActivationBudget, Activations } from "../../src/ops/activations";
import { createCpuOps } from "../../src/ops/cpu";
import { resolve } from "../../src/quant/resolve";
import { perplexityOf } from "../support/engine";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const never = new AbortController().signal;
const quiet = () => {};

/** A run, its export and a measurement, and how many activations went to scratch. */
async function outcome(budget?: ActivationBudget) {
  let spilled = 0;
  const memory = memoryScratch();
  const counting: Scratch = {
    ...memory,
    write(...args) {
      spilled++;
      return memory.write(...args);
    },
  };
  const engine = new Engine(memoryPlatform(undefined, { budget, openSpill: async () => counting }));
  await engine.open(tinySource());
  const text = { file: bytesFile("ids.npy", npy(tinyTokens(8, 16))) };
  const recipe = recipeWith({ method: "awq", bits: 4, calibration: { windows: 6, windowLength: 16, seed: 0 } }, { alpha: 0 });
  await engine.run({ id: "a", recipe, text }, quiet, never);
  const again = await engine.run(
    { id: "b", recipe: { ...recipe, method: "gptq", qep: { ...recipe.qep, alpha: 0.5 } }, text },
    quiet,
    never,
  );
  const { perplexity } = await engine.measure("b", text, { windows: 2, windowLength: 16 }, quiet, never);
  const sink = memorySink();
  await engine.export("a", sink, quiet, never);
  return { files: sink.files, delta: again.blocks.map((b) => b.delta), perplexity, spilled };
}

test("where activations find no room, they go to scratch, and every byte stays the same", async () => {
  const roomy = await outcome();
  const narrow = await outcome({ device: 5_000, host: 5_000, kept: 2_000 });
  expect(roomy.spilled).toBe(0);
  expect(narrow.spilled).toBeGreaterThan(20);
  expect({ ...narrow, spilled: 0 }).toEqual(roomy);
});

test("what a worker holds on the device does not grow with depth, although it records for the next run: 12, 24 and 48 blocks within 5 %", async () => {
  const peaks: number[] = [];
  for (const blocks of [12, 24, 48]) {
    const engine = new Engine(memoryPlatform(undefined, { budget: { device: 1e9, host: 1e9, kept: 20_000 } }));
    await engine.open(tinySource({ ...tinyConfig, num_hidden_layers: blocks }));
    const text = { file: bytesFile("ids.npy", npy(tinyTokens(4, 16))) };
    const recipe = recipeWith({ method: "rtn", bits: 3, calibration: { windows: 4, windowLength: 16, seed: 0 } });
    const first = await engine.run({ id: "a", recipe, text }, quiet, never);
    // The second run reads back what the first one recorded.
    const second = await engine.run({ id: "b", recipe: { ...recipe, bits: 4 }, text }, quiet, never);
    expect(second.streamMs).toBe(0);
    peaks.push(Math.max(first.peakGpuBytes, second.peakGpuBytes));
  }
  expect(Math.max(...peaks) / Math.min(...peaks)).toBeLessThan(1.05);
});

test("the plan's peak counts only the activations that the budget lets stay: within 15 % of the counted peak", async () => {
  const config = { ...tinyConfig, hidden_size: 8, intermediate_size: 12, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 4 };
  const model = await openModel(tinySource({ ...config, num_hidden_layers: 2, max_position_embeddings: 4096 }));
  const [windows, length] = [4, 525];
  const recipe = recipeWith({ method: "rtn", bits: 3 }, { alpha: 0 });
  const plan = resolve(recipe, model);
  const estimate = (device: number) => 2 * peakBytes(model.spec, plan, windows * length, length, false, { device, host: 1e9, kept: 0 });
  const peaks: number[] = [];
  for (const device of [50_000, 1e9]) {
    const ops = createCpuOps();
    const activations = new Activations(ops, async () => memoryScratch(), { device, host: 1e9, kept: 0 });
    const calibration = { tokens: tinyTokens(windows, length), heldOut: null };
    const store = await RunStore.create(memoryScratch(), await identityOf(model, recipe, 2, { label: "", calibration }), calibration);
    // A chunk for each window, so that there are some to spill.
    const { peakGpuBytes } = await run({ activations, model, plan, calibration, store, perChunk: 1, emit: quiet });
    // The reference holds 8 bytes for the GPU's 4.
    expect(Math.abs(estimate(device / 2) / peakGpuBytes - 1)).toBeLessThan(0.15);
    peaks.push(peakGpuBytes);
  }
  expect(peaks[0]).toBeLessThan(0.6 * peaks[1]);
});

test("measuring holds one residual stream, not one a block", async () => {
  const peaks: number[] = [];
  for (const blocks of [3, 12]) {
    const ops = createCpuOps();
    const model = await openModel(tinySource({ ...tinyConfig, num_hidden_layers: blocks }));
    await perplexityOf({ ops, model, tokens: tinyTokens(8, 32), emit: quiet });
    peaks.push(ops.peakBytes);
  }
  expect(peaks[1]).toBe(peaks[0]);
});

test.each([
  ["AWQ, which divides a stage's inputs", recipeWith({ method: "awq", bits: 4 }, { alpha: 0 })],
  ["a choice of α on held-out windows", recipeWith({ method: "rtn", bits: 3 }, { choice: "best", heldOut: 2 })],
])("%s leaves nothing on the device from block to block", async (_, recipe) => {
  const peaks: number[] = [];
  for (const blocks of [3, 9]) {
    const engine = new Engine(memoryPlatform(undefined, { runsAgain: false }));
    await engine.open(tinySource({ ...tinyConfig, num_hidden_layers: blocks }));
    const text = { file: bytesFile("ids.npy", npy(tinyTokens(6, 16))) };
    const { peakGpuBytes } = await engine.run({ id: "a", recipe, text }, quiet, never);
    peaks.push(peakGpuBytes);
  }
  expect(peaks[1]).toBe(peaks[0]);
});
