import { expect, test } from "vitest";
import { RunStore } from "../../src/engine/run-store";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { RunEvent } from "../../src/results/events";
import { activationsOf, run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

/** Scratch of a process that dies as soon as `isLast` says so of a change: that one, and all after it, do not happen. */
function dying(scratch: Scratch, isLast: (change: string) => boolean): Scratch {
  let isDead = false;
  const change = async (what: string, work: () => Promise<void>) => {
    isDead ||= isLast(what);
    if (isDead) throw new Error("dead");
    return work();
  };
  return {
    ...scratch,
    write: (name, parts) => change(`write ${name}`, () => scratch.write(name, parts)),
    remove: (name) => change(`remove ${name}`, () => scratch.remove(name)),
    clear: () => change("clear", () => scratch.clear()),
  };
}

async function setUp(blocks: number) {
  const model = await openModel(tinySource({ ...tinyConfig, num_hidden_layers: blocks }));
  const ops = createCpuOps();
  return (scratch: Scratch, emit?: (event: RunEvent) => void) =>
    run({ ops, model, tokens: tinyTokens(2, 8), recipe: recipeWith({ bits: 3 }), scratch, emit });
}

test("a run that dies at any change of its scratch goes on from what was committed, to the same end", async () => {
  const runOn = await setUp(3);
  const want = await runOn(memoryScratch());
  let deaths = 0;
  for (let isDone = false; !isDone; deaths++) {
    const scratch = memoryScratch();
    let left = deaths;
    let told = 0;
    const emit = (e: RunEvent) => {
      if (e.type === "commit") told = e.done;
    };
    isDone = await runOn(
      dying(scratch, () => left-- === 0),
      emit,
    ).then(
      () => true,
      () => false,
    );
    // What was told to be committed is not lost.
    expect((await RunStore.open(scratch))?.committed ?? 0).toBeGreaterThanOrEqual(told);
    const got = await runOn(scratch);
    expect(got.report.blocks).toEqual(want.report.blocks);
    for (const { name } of want.plan.layers) expect(await got.quantized.layer(name)).toEqual(await want.quantized.layer(name));
  }
  expect(deaths).toBeGreaterThan(20);
});

test("the tenth commit counts, although the ninth is still there", async () => {
  const runOn = await setUp(11);
  const scratch = memoryScratch();
  // The first time makes room for it.
  let times = 0;
  await expect(runOn(dying(scratch, (change) => change === "remove commit-9.json" && ++times === 2))).rejects.toThrow("dead");
  expect(await scratch.names()).toEqual(expect.arrayContaining(["commit-9.json", "commit-10.json"]));
  expect((await RunStore.open(scratch))!.committed).toBe(10);
  await runOn(scratch);
  expect((await scratch.names()).filter((name) => name.startsWith("commit"))).toContain("commit-11.json");
});

test("beside its blocks a run keeps the streams of its last commit only, and none at its end", async () => {
  const runOn = await setUp(3);
  const scratch = memoryScratch();
  const kept: string[][] = [];
  const watching: Scratch = {
    ...scratch,
    async write(name, parts) {
      if (name.startsWith("block")) kept.push((await scratch.names()).sort());
      return scratch.write(name, parts);
    },
  };
  const { report } = await runOn(watching);
  const always = ["run.json", "tokens"];
  expect(kept).toEqual([
    always,
    ["block-0", "commit-1.json", "residual-1-full-0", "residual-1-quantized-0", ...always],
    ["block-0", "block-1", "commit-2.json", "residual-2-full-0", "residual-2-quantized-0", ...always],
  ]);
  expect((await scratch.names()).sort()).toEqual(["block-0", "block-1", "block-2", "commit-3.json", ...always]);
  // One adapter, named once.
  expect(report.adapter).toBe(createCpuOps().adapter.description);
});

test("where the disk is full at a commit, the one before still stands, in memory as on disk", async () => {
  const runOn = await setUp(3);
  const scratch = memoryScratch();
  const full = (name: string) => name === "write commit-2.json";
  await expect(runOn(dying(scratch, full))).rejects.toThrow("dead");
  const model = await openModel(tinySource({ ...tinyConfig, num_hidden_layers: 3 }));
  const store = (await RunStore.open(scratch))!;
  expect(store.committed).toBe(1);
  const outcome = {
    index: 1,
    layers: [],
    replaced: new Map(),
    beyondF16: new Map(),
    report: { block: null, layers: [], ms: 0, streamMs: 0 },
  };
  const failing = (await RunStore.open(dying(scratch, full)))!;
  await expect(failing.put(outcome, null, [null], activationsOf(createCpuOps()))).rejects.toThrow("dead");
  expect(failing.committed).toBe(1);
  expect(await failing.layer(model.layers[0].name)).not.toBe(null);
});

test("a run that cannot be read is not taken for none: only who says so discards it", async () => {
  const runOn = await setUp(2);
  const scratch = memoryScratch();
  await runOn(scratch);
  await scratch.remove("block-1");
  await scratch.write("block-1", [new Uint8Array(40)]);
  await expect(RunStore.open(scratch)).rejects.toMatchObject({ code: "run-exists", where: "what is kept of it cannot be read" });
  expect(await RunStore.glance(scratch)).toMatchObject({ committed: 2, isExported: false, identity: { blocks: 2 } });
  expect(await RunStore.glance(memoryScratch())).toBe(null);
});

test("a run that was begun with a recipe of version 1 goes on, and means what it meant", async () => {
  const runOn = await setUp(3);
  const want = await runOn(memoryScratch());
  const scratch = memoryScratch();
  await expect(runOn(dying(scratch, (change) => change === "write block-1"))).rejects.toThrow("dead");
  const kept = JSON.parse(new TextDecoder().decode(await scratch.read("run.json")));
  const { destination, splitSize, ...recipe } = kept.recipe;
  const { downProj, ...qep } = recipe.qep;
  expect([destination, splitSize, downProj]).toEqual(["measure", null, false]);
  await scratch.write("run.json", [new TextEncoder().encode(JSON.stringify({ ...kept, recipe: { ...recipe, version: 1, qep } }))]);

  expect((await RunStore.glance(scratch))?.identity.recipe).toEqual(want.report.recipe);
  const got = await runOn(scratch);
  expect(got.report.blocks).toEqual(want.report.blocks);
});
