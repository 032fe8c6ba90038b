import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine";
import type { Platform } from "../../src/engine/platform";
import { QuantError } from "../../src/errors";
import { bytesFile, memorySink } from "../../src/io/memory";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import type { Recipe } from "../../src/recipe/recipe";
import type { RunEvent } from "../../src/results/events";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

const text = { file: bytesFile("ids.npy", npy(tinyTokens(6, 10))) };
const never = new AbortController().signal;
const quiet = () => {};
const config = { ...tinyConfig, num_hidden_layers: 4 };

const recipes: [string, Recipe][] = [
  ["RTN + QEP", recipeWith({ method: "rtn", bits: 3 })],
  [
    "GPTQ, α chosen on held-out windows, the last block left alone",
    recipeWith({ method: "gptq", bits: 3, blocks: 3 }, { choice: "best", heldOut: 2 }),
  ],
  ["AWQ, whose folds go into norms and layers before", recipeWith({ method: "awq", bits: 4 }, { alpha: 0 })],
  ["a rotated model", recipeWith({ method: "rtn", bits: 3, rotation: 3 })],
];

async function open(platform: Platform, source = tinySource(config)): Promise<Engine> {
  const engine = new Engine(platform);
  await engine.open(source);
  return engine;
}

async function exported(engine: Engine, id: string): Promise<Map<string, Uint8Array>> {
  const sink = memorySink();
  await engine.export(id, sink, quiet, never);
  return sink.files;
}

/** What a run comes to that nothing disturbs. */
async function undisturbed(recipe: Recipe): Promise<Map<string, Uint8Array>> {
  const engine = await open(memoryPlatform());
  await engine.run({ id: "a", recipe, text }, quiet, never);
  return exported(engine, "a");
}

/** Ends a run at its n-th event, as if the process had died: nothing is told to the engine, which is never asked again. */
async function killedAt(n: number, recipe: Recipe, places: Map<string, Scratch>): Promise<boolean> {
  const dead = new Promise<never>(() => {});
  let left = n;
  let isDead = false;
  const engine = await open(
    memoryPlatform(places, {
      openOps: async () => {
        const ops = createCpuOps();
        return Object.create(ops, {
          flush: { value: () => (isDead ? dead : ops.flush()) },
          read: { value: (...args: Parameters<Ops["read"]>) => (isDead ? dead : ops.read(...args)) },
        });
      },
    }),
  );
  return new Promise((resolve) => {
    const emit = () => {
      if (left-- > 0 || isDead) return;
      isDead = true;
      resolve(true);
    };
    engine.run({ id: "a", recipe, text }, emit, never).then(() => resolve(false));
  });
}

describe.each(recipes)("%s, killed and resumed", (_, recipe) => {
  test("comes to the same bytes, wherever it was killed", async () => {
    const want = await undisturbed(recipe);
    let events = 0;
    await (await open(memoryPlatform())).run({ id: "a", recipe, text }, () => events++, never);
    for (let i = 1; i <= 12; i++) {
      const places = new Map<string, Scratch>();
      expect(await killedAt(Math.floor((i * events) / 13), recipe, places)).toBe(true);
      const engine = await open(memoryPlatform(places));
      const [found] = await engine.interrupted();
      if (found) await engine.resume(found.id, quiet, never);
      else await engine.run({ id: "a", recipe, text, beginning: "resume" }, quiet, never);
      expect(await exported(engine, "a")).toEqual(want);
      await engine.close();
    }
  });
});

describe("an interrupted run", () => {
  const recipe = recipeWith({ method: "rtn", bits: 3 });

  /** Cancelled as soon as so many blocks are kept. */
  async function cancelled(places: Map<string, Scratch>, blocks = 2): Promise<void> {
    const controller = new AbortController();
    const engine = await open(memoryPlatform(places));
    const emit = (e: RunEvent) => {
      if (e.type === "commit" && e.done === blocks) controller.abort();
    };
    await expect(engine.run({ id: "a", recipe, text }, emit, controller.signal)).rejects.toThrow("Cancelled");
    await engine.close();
  }

  test("is offered for its own checkpoint only, and what is done is told again, once", async () => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    expect(await (await open(memoryPlatform(places), tinySource(tinyConfig))).interrupted()).toEqual([]);
    const engine = await open(memoryPlatform(places));
    expect(await engine.interrupted()).toMatchObject([{ id: "a", done: 2, blocks: 4, recipe: { bits: 3 }, text: { label: "ids.npy" } }]);
    const events: RunEvent[] = [];
    const report = await engine.resume("a", (e) => events.push(e), never);
    expect(events.filter((e) => e.type === "block").map((e) => e.block.index)).toEqual([0, 1, 2, 3]);
    expect(events.filter((e) => e.type === "layer")).toHaveLength(28);
    expect(events.filter((e) => e.type === "commit").map((e) => e.done)).toEqual([3, 4]);
    const progress = events.filter((e) => e.type === "progress");
    expect(progress.slice(0, 2).map((e) => e.where)).toEqual([1, 2].map((m) => `checking that block ${m} of 2 is unchanged`));
    for (const [i, e] of progress.entries()) expect(e.done).toBeGreaterThanOrEqual(progress[i - 1]?.done ?? 0);
    expect(report.blocks).toHaveLength(4);
    expect(await engine.interrupted()).toEqual([]);
  });

  test.each<[string, Partial<Recipe>, Parameters<typeof tinySource>, typeof text, RegExp]>([
    ["recipe", { bits: 4, symmetric: true }, [config], text, /the recipe differs in bits, symmetric/],
    ["text", {}, [config], { file: bytesFile("ids.npy", npy(tinyTokens(7, 10))) }, /the calibration windows are different ones/],
    ["checkpoint", {}, [{ ...config, rms_norm_eps: 1e-6 }], text, /the checkpoint is a different one/],
  ])("of another %s is never mixed in", async (_, change, [other], given, words) => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    const engine = await open(memoryPlatform(places), tinySource(other));
    const order = { id: "a", recipe: { ...recipe, ...change }, text: given };
    await expect(engine.run({ ...order, beginning: "resume" }, quiet, never)).rejects.toThrow(words);
    await expect(engine.run(order, quiet, never)).rejects.toMatchObject({ code: "run-exists" });
    // What was done is still there.
    expect(await (await open(memoryPlatform(places))).interrupted()).toHaveLength(1);
    await engine.run({ ...order, beginning: "replace" }, quiet, never);
  });

  test("of a version that is not this one is never mixed in", async () => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    const scratch = places.get("a")!;
    const kept = JSON.parse(new TextDecoder().decode(await scratch.read("run.json")));
    await scratch.remove("run.json");
    await scratch.write("run.json", [new TextEncoder().encode(JSON.stringify({ ...kept, version: "0.0.9" }))]);
    const engine = await open(memoryPlatform(places));
    await expect(engine.resume("a", quiet, never)).rejects.toThrow(/it was started by version 0\.0\.9, this is/);
  });

  test.each([
    ["the weights of block 1", "model.layers.0.self_attn.o_proj.weight"],
    ["the weights of block 2", "model.layers.1.mlp.up_proj.weight"],
    ["the embeddings", "model.embed_tokens.weight"],
  ])("whose checkpoint changed in %s says so, although sizes and names are the same", async (where, name) => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    const tensors = tinyTensors(config);
    tensors.get(name)!.bytes[0] ^= 1;
    const engine = await open(memoryPlatform(places), tinySource(config, tensors));
    await expect(engine.resume("a", quiet, never)).rejects.toThrow(`${where} differ`);
  });

  test("whose last commit was cut short goes on from the one before", async () => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    // The next block was written, but not committed.
    await places.get("a")!.write("block-2", [new Uint8Array(7)]);
    const engine = await open(memoryPlatform(places));
    await engine.resume("a", quiet, never);
    expect(await exported(engine, "a")).toEqual(await undisturbed(recipe));
  });

  test("that was exported is not offered again", async () => {
    const places = new Map<string, Scratch>();
    const engine = await open(memoryPlatform(places));
    await engine.run({ id: "a", recipe, text }, quiet, never);
    await engine.close();
    const second = await open(memoryPlatform(places));
    expect(await second.interrupted()).toMatchObject([{ done: 4, blocks: 4 }]);
    await second.resume("a", quiet, never);
    await exported(second, "a");
    await second.close();
    const third = await open(memoryPlatform(places));
    expect(await third.interrupted()).toEqual([]);
    expect(await places.get("a")!.names()).toEqual([]);
  });

  test("that cannot be read is not offered, refuses a new one in its place, and can be discarded", async () => {
    const places = new Map<string, Scratch>();
    await cancelled(places);
    const scratch = places.get("a")!;
    await scratch.remove("commit-2.json");
    await scratch.write("commit-2.json", [new Uint8Array(3)]);
    const engine = await open(memoryPlatform(places));
    for (const beginning of ["new", "resume"] as const)
      await expect(engine.run({ id: "a", recipe, text, beginning }, quiet, never)).rejects.toMatchObject({ code: "run-exists" });
    await expect(engine.resume("a", quiet, never)).rejects.toThrow("cannot be read");
    expect(await scratch.names()).toContain("block-0");
    await engine.forget("a");
    expect(await scratch.names()).toEqual([]);
    // Nobody holds the place any more.
    expect(await memoryPlatform(places).keptRuns()).toEqual(["a"]);
  });

  test("that nobody wants back is kept in its place where it is too large for memory", async () => {
    const places = new Map<string, Scratch>();
    const engine = await open(memoryPlatform(places), tinySource({ ...tinyConfig, num_hidden_layers: 1, hidden_size: 24 }));
    await engine.run({ id: "small", recipe, text, isPassing: true }, quiet, never);
    expect([...places.keys()]).toEqual([]);
    // 2 streams × 24 × 4 bytes a token: 64 MiB are passed by 360,000 tokens, which nobody runs here; the plan alone tells.
    const many = { file: bytesFile("ids.npy", npy(tinyTokens(36_000, 10))) };
    const stopped = AbortSignal.abort();
    await expect(engine.run({ id: "large", recipe, text: many, isPassing: true }, quiet, stopped)).rejects.toThrow("Cancelled");
    expect([...places.keys()]).toEqual(["large"]);
    expect(await places.get("large")!.names()).toEqual([]);
  });

  test("that nobody wants back leaves nothing", async () => {
    const controller = new AbortController();
    const places = new Map<string, Scratch>();
    const engine = await open(memoryPlatform(places));
    const emit = (e: RunEvent) => e.type === "commit" && controller.abort();
    await expect(engine.run({ id: "a", recipe, text, isPassing: true }, emit, controller.signal)).rejects.toThrow("Cancelled");
    expect([...places.keys()]).toEqual([]);
    expect(engine.liveBytes).toBeGreaterThanOrEqual(0);
  });
});

describe("a device that is lost", () => {
  const recipe = recipeWith({ method: "gptq", bits: 3 });

  /** Ops that are lost at their n-th flush, then whole ones. */
  function losing(...flushes: number[]): { platform: Platform; opened: () => number } {
    let opened = 0;
    const openOps = async (): Promise<Ops> => {
      const ops = createCpuOps();
      let left = flushes[opened++] ?? Number.POSITIVE_INFINITY;
      const flush = async () => {
        if (left-- <= 0) throw new QuantError("device-lost", "a driver reset");
        return ops.flush();
      };
      return Object.create(ops, { flush: { value: flush } });
    };
    return { platform: memoryPlatform(new Map([["a", memoryScratch()]]), { openOps }), opened: () => opened };
  }

  test("is replaced: the block under way is done again, and the bytes are the same", async () => {
    const want = await undisturbed(recipe);
    for (const at of [0, 7, 20, 31]) {
      const { platform, opened } = losing(at, 2);
      const engine = await open(platform);
      const events: RunEvent[] = [];
      await engine.run({ id: "a", recipe, text }, (e) => events.push(e), never);
      expect(opened()).toBe(3);
      expect(
        events.filter((e) => e.type === "log" && /The GPU was lost \(a driver reset\)\. Going on with block \d/.test(e.message)),
      ).toHaveLength(2);
      const progress = events.filter((e) => e.type === "progress");
      expect(new Set(progress.map((e) => e.total)).size).toBe(1);
      for (const [i, e] of progress.entries()) expect(e.done).toBeGreaterThanOrEqual(progress[i - 1]?.done ?? 0);
      expect(await exported(engine, "a")).toEqual(want);
    }
  });

  test("while a run is measured is replaced, and the measurement is started over", async () => {
    const engine = await open(memoryPlatform());
    await engine.run({ id: "a", recipe, text }, quiet, never);
    const want = await engine.measure("a", text, { windows: 2, windowLength: 10 }, quiet, never);
    const { platform, opened } = losing(Number.POSITIVE_INFINITY, 3);
    const second = await open(platform);
    await second.run({ id: "a", recipe, text, beginning: "replace" }, quiet, never);
    expect(opened()).toBe(1);
    await second.close();
    const third = await open(platform);
    await third.resume("a", quiet, never);
    const events: RunEvent[] = [];
    const got = await third.measure("a", text, { windows: 2, windowLength: 10 }, (e) => events.push(e), never);
    expect(opened()).toBe(3);
    expect({ ...got, ms: 0 }).toEqual({ ...want, ms: 0 });
    expect(events.some((e) => e.type === "log" && /Starting over/.test(e.message))).toBe(true);
  });

  test("is not replaced a fourth time within a minute: the run stops, and is kept", async () => {
    const { platform, opened } = losing(40, 1, 1, 1, 1, 1);
    const engine = await open(platform);
    await expect(engine.run({ id: "a", recipe, text }, quiet, never)).rejects.toMatchObject({ code: "device-lost" });
    expect(opened()).toBe(4);
  });
});
