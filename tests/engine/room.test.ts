import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine";
import type { Platform } from "../../src/engine/platform";
import { bytesFile } from "../../src/io/memory";
import { freeBytes } from "../../src/io/node-scratch";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import type { Recipe } from "../../src/recipe/recipe";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

// Large enough that reports and heads are small beside weights and streams.
const config = { ...tinyConfig, hidden_size: 64, head_dim: 16, intermediate_size: 192, num_hidden_layers: 3 };
const [windows, length] = [4, 32];
const text = { file: bytesFile("ids.npy", npy(tinyTokens(windows, length))) };
const never = new AbortController().signal;
const quiet = () => {};

/** Scratch in memory that knows the most it ever held, without the small files of the journal. */
function counted(): { scratch: Scratch; peak(): number } {
  const inner = memoryScratch();
  const sizes = new Map<string, number>();
  let peak = 0;
  const scratch: Scratch = {
    ...inner,
    async write(name, parts) {
      await inner.write(name, parts);
      if (!name.endsWith(".json"))
        sizes.set(
          name,
          parts.reduce((sum, part) => sum + part.length, 0),
        );
      peak = Math.max(
        peak,
        [...sizes.values()].reduce((a, b) => a + b, 0),
      );
    },
    async remove(name) {
      sizes.delete(name);
      await inner.remove(name);
    },
  };
  return { scratch, peak: () => peak };
}

async function open(platform: Platform): Promise<Engine> {
  const engine = new Engine(platform);
  await engine.open(tinySource(config));
  return engine;
}

test.each<[string, Recipe]>([
  ["RTN 4 bits", recipeWith({ method: "rtn", bits: 4 })],
  ["RTN 2 bits in groups, real zeros", recipeWith({ method: "rtn", bits: 2, groupSize: 32, zeros: "real", format: "dense" })],
  ["QuIP, which keeps f16 weights", recipeWith({ method: "quip", bits: 2, format: "dense" })],
])("%s: what the plan says is kept is what a run writes, and a little more", async (_, recipe) => {
  const { scratch, peak } = counted();
  const { budget } = memoryPlatform();
  const engine = await open(memoryPlatform(new Map([["a", scratch]]), { runsAgain: false, budget }));
  const { scratchBytes } = await engine.plan(recipe, text, never);
  await engine.run({ id: "a", recipe, text }, quiet, never);
  // The reference keeps its streams in f64, as the GPU does not.
  const streams = 2 * 2 * 4 * windows * length * config.hidden_size;
  const asOnGpu = peak() - streams;
  expect(asOnGpu / scratchBytes).toBeLessThan(1);
  expect(asOnGpu / scratchBytes).toBeGreaterThan(0.7);
});

test("what the memory does not hold is counted too, AWQ's outputs to compare with as well", async () => {
  const plan = async (budget: Platform["budget"], method: Recipe["method"] = "rtn") =>
    (await (await open(memoryPlatform(undefined, { budget, runsAgain: false }))).plan(recipeWith({ method }), text, never)).scratchBytes;
  const [roomy, narrow] = [await plan(undefined), await plan({ device: 1000, host: 1000, kept: 0 })];
  // At down_proj both streams hold its inputs and their residual, and the full-precision one the residual before.
  expect(narrow - roomy).toBe(4 * windows * length * (2 * (192 + 64) + 64) - 2000);
  expect((await plan({ device: 1000, host: 1000, kept: 0 }, "awq")) - narrow).toBe(4 * windows * length * 64);
});

test.each([
  ["elsewhere", /^There is not enough room.*the run takes up to 0\.\d MB, and 0\.1 MB are free for this page/],
  ["same disk", /the run and its export take up to 0\.\d MB, and 0\.1 MB are free on this disk.*output folder/],
  ["zip", /the run and its zip take up to 0\.\d MB, and 0\.1 MB are free for this page.*Chrome or Edge/],
] as const)("a run that cannot be kept does not start, and its plan says so (export: %s)", async (exportsTo, said) => {
  let free = 1e5;
  const places = new Map<string, Scratch>();
  const engine = await open(memoryPlatform(places, { exportsTo, freeBytes: async () => free }));
  const recipe = recipeWith({ method: "rtn", bits: 4 });
  expect((await engine.plan(recipe, text, never)).warnings[0]).toMatch(said);
  await expect(engine.run({ id: "a", recipe, text }, quiet, never)).rejects.toMatchObject({ code: "disk-full" });
  expect(await places.get("a")!.names()).toEqual([]);
  free = 1e9;
  expect((await engine.plan(recipe, text, never)).warnings.join()).not.toContain("room");
  await engine.run({ id: "a", recipe, text }, quiet, never);
});

test.each([
  ["elsewhere", /can be exported into a folder, but not as a zip/],
  ["zip", /cannot be exported: a zip is such a file/],
] as const)(
  "where no files are kept, the plan says that all of it is in memory, and what cannot be exported (export: %s)",
  async (exportsTo, said) => {
    const recipe = recipeWith({ method: "rtn", bits: 4 });
    const plan = async (change: Partial<Platform>) =>
      (await open(memoryPlatform(undefined, { exportsTo, ...change }))).plan(recipe, text, never);
    const [kept, unkept] = [await plan({}), await plan({ canKeep: async () => false })];
    expect(kept.warnings.join()).not.toContain("keep no files");
    expect(unkept.warnings[0]).toMatch(/keep no files, as in a private window: the run's blocks, up to 0\.\d MB, stay in main memory/);
    expect(unkept.warnings[0]).toMatch(said);
    expect(unkept.warnings.slice(1)).toEqual(kept.warnings);
    expect(unkept).toMatchObject({ scratchBytes: 0, peakHostBytes: kept.peakHostBytes + kept.scratchBytes });
  },
);

describe("where the zip lies beside the run", () => {
  const recipe = recipeWith({ method: "rtn", bits: 4, destination: "transformers" });

  /** A browser whose room holds the run, and half of the zip. */
  async function halfway() {
    const { scratchBytes, bytesOut } = await (await open(memoryPlatform(undefined, { runsAgain: false }))).plan(recipe, text, never);
    const free = scratchBytes + bytesOut / 2;
    const browser = (exportsTo: Platform["exportsTo"]) =>
      open(memoryPlatform(undefined, { runsAgain: false, exportsTo, freeBytes: async () => free }));
    return { browser, said: new RegExp(`the run and its zip take up to ${((scratchBytes + bytesOut) / 1e6).toFixed(1)} MB`) };
  }

  test("a run whose zip would find no room does not start", async () => {
    const { browser, said } = await halfway();
    const engine = await browser("zip");
    expect((await engine.plan(recipe, text, never)).warnings[0]).toMatch(said);
    await expect(engine.run({ id: "a", recipe, text }, quiet, never)).rejects.toMatchObject({
      code: "disk-full",
      where: expect.stringMatching(said),
    });
    const elsewhere = await browser("elsewhere");
    expect((await elsewhere.plan(recipe, text, never)).warnings.join()).not.toContain("room");
    await elsewhere.run({ id: "a", recipe, text }, quiet, never);
  });

  test("who just measures is warned, and may run", async () => {
    const { browser, said } = await halfway();
    const engine = await browser("zip");
    const measured: Recipe = { ...recipe, destination: "measure" };
    expect((await engine.plan(measured, text, never)).warnings[0]).toMatch(said);
    await engine.run({ id: "a", recipe: measured, text }, quiet, never);
  });
});

test("a run that goes on needs room for what is left only", async () => {
  const places = new Map<string, Scratch>();
  const stop = new AbortController();
  const first = await open(memoryPlatform(places));
  const recipe = recipeWith({ method: "rtn", bits: 8 });
  const events = (event: { type: string }) => event.type === "commit" && stop.abort();
  await expect(first.run({ id: "a", recipe, text }, events, stop.signal)).rejects.toMatchObject({ code: "cancelled" });
  await first.close();
  const { scratchBytes: whole } = await first.plan(recipe, text, never);
  const weights = (whole - 2 * 2 * 4 * windows * length * config.hidden_size) / 3;
  const again = await open(memoryPlatform(places, { freeBytes: async () => whole - weights / 2 }));
  await expect(again.run({ id: "b", recipe, text }, quiet, never)).rejects.toMatchObject({ code: "disk-full" });
  await again.resume("a", quiet, never);
});

test("Node tells what is free on a folder's disk, also before there is one", async () => {
  const free = await freeBytes(join(tmpdir(), "qep-none", "deeper"));
  expect(free).toBeGreaterThan(0);
  expect(free! / (await freeBytes(tmpdir()))!).toBeCloseTo(1, 1);
});
