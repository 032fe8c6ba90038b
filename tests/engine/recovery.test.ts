import { afterEach, describe, expect, test, vi } from "vitest";
import { Engine } from "../../src/engine/engine";
import { QuantError } from "../../src/errors";
import { bytesFile, memorySink } from "../../src/io/memory";
import type { Scratch } from "../../src/io/scratch";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const text = { file: bytesFile("ids.npy", npy(tinyTokens(6, 10))) };
const never = new AbortController().signal;
const quiet = () => {};
const recipe = recipeWith({ bits: 3 });

afterEach(() => vi.restoreAllMocks());

/** An engine whose n-th device is lost at the n-th of these flushes; those after them are whole. */
async function losing(flushes: number[], onLoss = () => {}) {
  let opened = 0;
  const openOps = async (): Promise<Ops> => {
    const ops = createCpuOps();
    let left = flushes[opened++] ?? Number.POSITIVE_INFINITY;
    const flush = async () => {
      if (left-- > 0) return ops.flush();
      onLoss();
      throw new QuantError("device-lost", "a driver reset");
    };
    return Object.create(ops, { flush: { value: flush } });
  };
  const places = new Map<string, Scratch>();
  const engine = new Engine(memoryPlatform(places, { openOps }));
  await engine.open(tinySource({ ...tinyConfig, num_hidden_layers: 4 }));
  return { engine, places, opened: () => opened };
}

async function exported(engine: Engine, id: string): Promise<Map<string, Uint8Array>> {
  const sink = memorySink();
  await engine.export(id, sink, quiet, never);
  return sink.files;
}

describe("a device that is lost", () => {
  test("more than a minute after others does not count with them", async () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const { engine, opened } = await losing([1, 1, 1, 1, 1, 1], () => {
      now += 31_000;
    });
    await engine.run({ id: "a", recipe, text }, quiet, never);
    expect(opened()).toBe(7);
  });

  test("after the job was cancelled is not replaced", async () => {
    const controller = new AbortController();
    const { engine, opened } = await losing([3], () => controller.abort());
    await expect(engine.run({ id: "a", recipe, text }, quiet, controller.signal)).rejects.toMatchObject({ code: "cancelled" });
    expect(opened()).toBe(1);
  });

  test("takes what was recorded on it along", async () => {
    // The run takes fewer flushes than that, the measurement reaches it.
    let isLost = false;
    const cpu = createCpuOps();
    const flush = async () => {
      if (isLost) throw new QuantError("device-lost", "a driver reset");
    };
    const devices: Ops[] = [Object.create(cpu, { flush: { value: flush } })];
    const engine = new Engine(memoryPlatform(undefined, { openOps: async () => devices.shift() ?? createCpuOps() }));
    await engine.open(tinySource());
    await engine.run({ id: "a", recipe, text }, quiet, never);
    expect((await engine.plan(recipe, text, never)).streamKept).toBe(true);
    isLost = true;
    await engine.measure("a", text, { windows: 2, windowLength: 10 }, quiet, never);
    expect((await engine.plan(recipe, text, never)).streamKept).toBe(false);
  });

  test("in the middle of a run leaves no half recording: the next run comes to what it comes to alone", async () => {
    const other = recipeWith({ bits: 4 });
    const { engine: alone } = await losing([]);
    await alone.run({ id: "b", recipe: other, text }, quiet, never);
    const { engine, opened } = await losing([20]);
    await engine.run({ id: "a", recipe, text }, quiet, never);
    expect(opened()).toBe(2);
    await engine.run({ id: "b", recipe: other, text }, quiet, never);
    expect(await exported(engine, "b")).toEqual(await exported(alone, "b"));
    await engine.run({ id: "c", recipe: other, text }, quiet, never);
    expect(await exported(engine, "c")).toEqual(await exported(alone, "b"));
  });
});

test("a run that is cancelled before its first block is done leaves nothing in its place", async () => {
  const controller = new AbortController();
  const { engine, places } = await losing([]);
  const emit = (e: { type: string }) => e.type === "layer" && controller.abort();
  await expect(engine.run({ id: "a", recipe, text }, emit, controller.signal)).rejects.toThrow("Cancelled");
  expect(await places.get("a")!.names()).toEqual([]);
});
