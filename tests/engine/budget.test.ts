/** A memory that a person allows: jobs keep within it, whatever they compute stays the same, and what cannot fit is refused before any work. */
import { expect, test } from "vitest";
import { MemoryKeeper, runBudget } from "../../src/engine/budget";
import { Engine } from "../../src/engine/engine";
import { peakBytes } from "../../src/engine/memory";
import type { Device } from "../../src/engine/platform";
import type { QuantError } from "../../src/errors";
import { bytesFile } from "../../src/io/memory";
import type { Scratch } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { defaultBudget } from "../../src/ops/activations";
import { createCpuOps } from "../../src/ops/cpu";
import { resolve } from "../../src/quant/resolve";
import type { RunEvent } from "../../src/results/events";
import { activationsOf } from "../support/engine";
import { configs, generatedSource } from "../support/generated";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const quiet = () => {};
const never = new AbortController().signal;
const config = { ...tinyConfig, hidden_size: 32, head_dim: 8, intermediate_size: 64, num_hidden_layers: 3 };
const text = { file: bytesFile("ids.npy", npy(tinyTokens(48, 64))) };
const recipe = recipeWith({ method: "gptq", bits: 3, calibration: { windows: null, windowLength: 64, seed: 0 } }, { alpha: 0.5 });

async function open(memory: number | null, places?: Map<string, Scratch>): Promise<Engine> {
  const engine = new Engine(memoryPlatform(places, { runsAgain: false }));
  await engine.open(tinySource(config));
  engine.limitMemory(memory);
  return engine;
}

// The reference holds 8 bytes for the GPU's 4, so that half of what it counts is what a GPU would hold.
test("a run keeps within it, as its plan says, and gives the same", async () => {
  const free = await (await open(null)).run({ id: "a", recipe, text }, quiet, never);
  const least = 600_000;
  expect(free.peakGpuBytes / 2).toBeGreaterThan(3 * least);
  for (const memory of [least, 2 * least]) {
    const engine = await open(memory);
    const plan = await engine.plan(recipe, text, never);
    const report = await engine.run({ id: "a", recipe, text }, quiet, never);
    expect(plan.peakGpuBytes).toBeLessThanOrEqual(memory);
    expect(report.peakGpuBytes / 2).toBeLessThanOrEqual(memory);
    expect(report.peakGpuBytes / 2).toBeGreaterThan(0.5 * memory);
    // Sums over other chunks round otherwise.
    for (const [m, block] of report.blocks.entries()) expect(block.delta / free.blocks[m].delta).toBeCloseTo(1, 6);
  }
});

test("a run resumed within another memory goes on in the chunks in which it began", async () => {
  const places = new Map<string, Scratch>();
  const controller = new AbortController();
  const stop = (e: RunEvent) => {
    if (e.type === "commit" && e.done === 1) controller.abort();
  };
  const first = await open(600_000, places);
  await expect(first.run({ id: "a", recipe, text }, stop, controller.signal)).rejects.toThrow("Cancelled");
  await first.close();
  const resumed = await (await open(null, places)).resume("a", quiet, never);
  const undisturbed = await (await open(600_000)).run({ id: "a", recipe, text }, quiet, never);
  expect(resumed.blocks).toEqual(undisturbed.blocks);
});

test("perplexity and tasks keep within it too", async () => {
  const free = await open(null);
  const cutting = { windows: null, windowLength: 64 };
  const { perplexity } = await free.measureModel(text, cutting, quiet, never);
  const engine = await open(400_000);
  expect((await engine.measureModel(text, cutting, quiet, never)).perplexity).toBeCloseTo(perplexity, 9);
  expect(((await engine.start()).ops.peakBytes ?? 0) / 2).toBeLessThanOrEqual(400_000);
  await expect((await open(50_000)).measureModel(text, cutting, quiet, never)).rejects.toThrow(/a block and one chunk take/);
});

test("where a layer does not fit, the plan names it, what it takes and what would help; with that it fits", async () => {
  const model = await openModel(generatedSource("Llama-2-7B", configs["Llama-2-7B"]));
  const plan = resolve(recipeWith({ method: "gptq", bits: 4, groupSize: 128, rules: [{ match: "down_proj", alpha: 0.5 }] }), model);
  const budgetIn = (memory: number) => runBudget(model.spec, plan, 128 * 2048, 2048, false, memory);
  let error: QuantError | null = null;
  try {
    budgetIn(2 ** 30);
  } catch (e) {
    error = e as QuantError;
  }
  expect(error).toMatchObject({
    code: "gpu-limit",
    where: expect.stringMatching(/^model\.layers\.0\.mlp\.\w+_proj takes [\d.]+ GiB at once, and 1\.00 GiB/),
  });
  const allowed = Number(/Allow ([\d.]+) GiB/.exec(error!.hint)![1]) * 2 ** 30;
  expect(allowed).toBeGreaterThan(2 ** 30);
  expect(allowed).toBeLessThan(3 * 2 ** 30);
  expect(peakBytes(model.spec, plan, 128 * 2048, 2048, false, budgetIn(allowed))).toBeLessThanOrEqual(allowed);
});

test("RTN of Llama-2-7B fits 1 GiB, and an unlimited run has the budget it always had", async () => {
  const model = await openModel(generatedSource("Llama-2-7B", configs["Llama-2-7B"]));
  const plan = resolve(recipeWith({ method: "rtn", bits: 4, groupSize: 128 }, { alpha: 0 }), model);
  const budget = runBudget(model.spec, plan, 4096, 512, false, 2 ** 30);
  expect(budget.device).toBeGreaterThan(0);
  expect(budget.device).toBeLessThan(2 ** 29);
  expect(runBudget(model.spec, plan, 4096, 512, false, null)).toBe(defaultBudget);
});

test("a slice of the head and its logits count, where they are more than a block", async () => {
  const { spec } = await openModel(tinySource({ ...config, vocab_size: 50_000 }));
  const keeper = new MemoryKeeper();
  keeper.memory = 2 ** 23;
  const ops = createCpuOps();
  const device = { ops, activations: activationsOf(ops) } as Device;
  expect(() => keeper.limitPasses(device, [spec], { length: 64, windows: 1 })).toThrow(/a slice of the head and one chunk take 0\.02 GiB/);
  keeper.memory = 2 ** 26;
  expect(keeper.limitPasses(device, [spec], { length: 64, windows: 1 }).perChunk).toBeGreaterThan(0);
});
