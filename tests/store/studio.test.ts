import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { compare } from "../../src/store/compare";
import { updateMs } from "../../src/store/inbox";
import { missingPartner, nextStep, selectedRun } from "../../src/store/next";
import { createStudio, type Studio } from "../../src/store/studio";
import type { StudioApi } from "../../src/worker/protocol";
import { type Fake, type FakeOptions, fakeClient, figures } from "./fake";
import { demoModel } from "./fake-client";

const slow = { pause: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function made(options?: FakeOptions): { studio: Studio; fake: Fake } {
  const fake = fakeClient(options);
  return { studio: createStudio(() => fake), fake };
}

/** With the demo open and its plan there. */
async function opened(options?: FakeOptions) {
  const both = made(options);
  both.studio.start();
  both.studio.openDemo();
  await vi.advanceTimersByTimeAsync(1000);
  return both;
}

const state = (studio: Studio) => studio.store.getState();

describe("opening", () => {
  it("starts from what suits the demo", async () => {
    const { studio } = await opened();
    const { model, recipe, plan, outcome } = state(studio);
    expect(model.summary?.label).toBe("QEP demo");
    expect(recipe).toMatchObject({ bits: 3, blocks: null, calibration: { windows: 16, windowLength: 128 } });
    expect(plan.summary?.tokens).toBe(2048);
    expect(outcome).toEqual({ kind: "opened", label: "QEP demo" });
  });

  it("starts from more for a person's own model, and never beyond its positions", async () => {
    const { studio } = made();
    studio.start();
    await studio.openFiles([], "mine");
    expect(state(studio).recipe).toMatchObject({ bits: 4, calibration: { windows: 32, windowLength: 256 } });
    const short = made({ model: { shape: { ...demoModel.shape!, maxPositions: 64 } } });
    short.studio.start();
    await short.studio.openFiles([], "mine");
    expect(state(short.studio).recipe.calibration.windowLength).toBe(64);
  });

  it("leaves the bits that the person chose", async () => {
    const { studio } = made();
    studio.start();
    studio.editRecipe({ bits: 2 });
    await studio.openDemo();
    expect(state(studio).recipe.bits).toBe(2);
  });

  it("keeps the open model and its runs when another one cannot be opened", async () => {
    const { studio, fake } = await opened();
    await studio.run();
    fake.options.fail = { openFiles: new QuantError("truncated", "model.safetensors", "Download it again.") };
    await studio.openFiles([], "broken");
    const { model, runs, outcome } = state(studio);
    expect(model.summary?.label).toBe("QEP demo");
    expect(model.error?.code).toBe("truncated");
    expect(runs).toHaveLength(1);
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "truncated" } });
  });

  it("drops the runs of the model before", async () => {
    const { studio, fake } = await opened();
    await studio.run();
    await studio.openDemo();
    await vi.advanceTimersByTimeAsync(10);
    expect(state(studio).runs).toEqual([]);
    expect(fake.calls).toContain("forget");
  });
});

describe("the plan", () => {
  it("is asked once for many edits", async () => {
    const { studio, fake } = await opened();
    const before = fake.calls.filter((c) => c === "plan").length;
    for (let alpha = 0; alpha < 10; alpha++) studio.editRecipe({ qep: { alpha: alpha / 10 } });
    expect(state(studio).plan.pending).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(fake.calls.filter((c) => c === "plan").length - before).toBe(1);
    expect(state(studio).plan.pending).toBe(false);
  });

  it("says what does not fit, and recovers", async () => {
    const { studio } = await opened();
    studio.editRecipe({ groupSize: 128 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state(studio).plan).toMatchObject({ summary: null, error: { code: "group-size" } });
    expect(nextStep(state(studio))).toBe("mend-recipe");
    studio.editRecipe({ groupSize: 64 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state(studio).plan.error).toBeNull();
    expect(nextStep(state(studio))).toBe("run");
  });

  it("ignores an answer that came too late", async () => {
    const { studio } = await opened(slow);
    studio.editRecipe({ groupSize: 128 });
    await vi.advanceTimersByTimeAsync(255);
    studio.editRecipe({ groupSize: 32 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state(studio).plan.error).toBeNull();
  });

  it("asks for a text before it asks the worker", async () => {
    const { studio } = await opened();
    studio.chooseCalibration({ kind: "pasted", pasted: "  " });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state(studio).plan.error?.code).toBe("text-too-short");
    studio.chooseCalibration({ kind: "file" });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state(studio).plan.error?.code).toBe("missing-file");
  });
});

describe("a run", () => {
  it("fills block by block, at most five times a second", async () => {
    const { studio } = await opened(slow);
    const sizes: number[] = [];
    let updates = 0;
    studio.store.subscribe((now, old) => {
      if (now.runs === old.runs) return;
      updates++;
      sizes.push(now.runs[0]?.blocks.length ?? 0);
    });
    const done = studio.run();
    const started = Date.now();
    await vi.runAllTimersAsync();
    await done;
    const seconds = (Date.now() - started) / 1000;
    expect(updates).toBeLessThanOrEqual(seconds * (1000 / updateMs) + 5);
    expect(new Set(sizes).size).toBeGreaterThan(5);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    const [run] = state(studio).runs;
    expect(run.status).toBe("done");
    expect(run.blocks.map((b) => b.delta)).toEqual(figures.recipes["rtn-3-qep"].delta);
    expect(run.layers).toHaveLength(84);
    expect(state(studio).outcome).toMatchObject({ kind: "ran", runId: run.id });
  });

  it("has progress that never falls", async () => {
    const { studio } = await opened(slow);
    const fractions: number[] = [];
    studio.store.subscribe((now) => now.job && fractions.push(now.job.fraction));
    const done = studio.run();
    await vi.runAllTimersAsync();
    await done;
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
  });

  it("stops when cancelled, and keeps the blocks done", async () => {
    const { studio } = await opened(slow);
    const done = studio.run();
    await vi.advanceTimersByTimeAsync(900);
    studio.cancel();
    expect(state(studio).job?.cancelling).toBe(true);
    await vi.advanceTimersByTimeAsync(100);
    await done;
    const [run] = state(studio).runs;
    expect(run.status).toBe("cancelled");
    expect(run.blocks.length).toBeGreaterThan(2);
    expect(state(studio)).toMatchObject({ job: null, outcome: { kind: "cancelled", what: "run" } });
    const again = studio.run();
    await vi.runAllTimersAsync();
    await again;
    expect(state(studio).runs[1].status).toBe("done");
  });

  it("cancelled before its turn never reaches the worker", async () => {
    const { studio, fake } = await opened(slow);
    studio.editRecipe({ bits: 2 });
    await vi.advanceTimersByTimeAsync(255); // the plan is being asked
    const done = studio.run();
    studio.cancel();
    await vi.runAllTimersAsync();
    await done;
    expect(state(studio).runs[0].status).toBe("cancelled");
    expect(fake.calls).not.toContain("run");
  });

  it("that fails keeps its curve and says why", async () => {
    const { studio } = await opened({ failAfter: { blocks: 4, error: new QuantError("device-lost", "in block 5") } });
    await studio.run();
    const [run] = state(studio).runs;
    expect(run).toMatchObject({ status: "failed", error: { code: "device-lost" } });
    expect(run.blocks).toHaveLength(4);
    expect(state(studio).outcome).toMatchObject({ kind: "failed", error: { code: "device-lost" } });
  });

  it("is one at a time", async () => {
    const { studio } = await opened(slow);
    const done = studio.run();
    await studio.run();
    expect(state(studio).runs).toHaveLength(1);
    await vi.runAllTimersAsync();
    await done;
  });
});

describe("a pair", () => {
  it("is a QEP run and its base, the selection staying with QEP", async () => {
    const { studio } = await opened();
    await studio.run();
    expect(missingPartner(state(studio))).toBe("base");
    studio.editRecipe({ bits: 8 }); // the panel has moved on; the partner is the run's
    await studio.addPartner("base");
    const { runs, selected } = state(studio);
    expect(runs[1].recipe).toMatchObject({ bits: 3, qep: { alpha: 0 } });
    expect(selected).toBe(runs[0].id);
    expect(missingPartner(state(studio))).toBeNull();
    const comparison = compare(runs, selectedRun(state(studio)))!;
    expect(comparison.calibration.below).toBe(true);
    expect(comparison.calibration.change).toBeCloseTo(236_501 / 335_403 - 1, 6);
    expect(comparison.evaluations).toEqual([]);
  });

  it("can start from the base", async () => {
    const { studio } = await opened();
    studio.editRecipe({ qep: { alpha: 0 } });
    await studio.run();
    expect(missingPartner(state(studio))).toBe("qep");
    await studio.addPartner("base"); // does not apply
    expect(state(studio).runs).toHaveLength(1);
    await studio.addPartner("qep");
    const { runs, selected } = state(studio);
    expect(runs[1].recipe.qep.alpha).toBe(0.5);
    expect(selected).toBe(runs[1].id);
  });

  it("compares on the evaluation text once both are measured", async () => {
    const { studio, fake } = await opened();
    await studio.run();
    await studio.addPartner("base");
    await studio.measure();
    expect(fake.calls.filter((c) => c === "measure")).toHaveLength(2);
    expect(state(studio).outcome).toMatchObject({ kind: "measured", runs: 2 });
    const [evaluation] = compare(state(studio).runs, selectedRun(state(studio)))!.evaluations;
    expect(evaluation.text).toMatchObject({ label: "demo evaluation text", windows: 16, windowLength: 128 });
    expect(evaluation.perplexity).toMatchObject({ base: 3.82822, qep: 3.72237, below: true });
    await studio.measure(); // nothing left to measure
    expect(fake.calls.filter((c) => c === "measure")).toHaveLength(2);
    studio.editEvaluation({ windows: 8 });
    await studio.measure();
    expect(fake.calls.filter((c) => c === "measure")).toHaveLength(4);
  });
});

describe("a checkpoint that is quantized already", () => {
  it("is measured, not run", async () => {
    const { studio, fake } = await opened({ model: { packing: "GPTQ 4-bit" } });
    expect(nextStep(state(studio))).toBe("measure");
    expect(state(studio).plan).toEqual({ pending: false, summary: null, error: null });
    await studio.run();
    expect(fake.calls).not.toContain("run");
    await studio.measure();
    expect(state(studio).model.measured).toMatchObject([{ textLabel: "demo evaluation text", result: { perplexity: 3.59 } }]);
    expect(state(studio).outcome).toMatchObject({ kind: "measured", runs: 0 });
    expect(nextStep(state(studio))).toBe("nothing");
  });
});

describe("the next step", () => {
  it("is always one", async () => {
    const { studio } = made();
    expect(nextStep(state(studio))).toBe("wait");
    await studio.start();
    expect(nextStep(state(studio))).toBe("open");
    studio.openDemo();
    await vi.advanceTimersByTimeAsync(1000);
    expect(nextStep(state(studio))).toBe("run");
    const done = studio.run();
    expect(nextStep(state(studio))).toBe("wait");
    await done;
    expect(nextStep(state(studio))).toBe("baseline");
    await studio.addPartner("base");
    expect(nextStep(state(studio))).toBe("measure");
    await studio.measure();
    expect(nextStep(state(studio))).toBe("export");
    const written = await studio.exportRun({ kind: "zip", name: "demo" });
    expect(written?.zip).toBeInstanceOf(File);
    expect(state(studio).outcome).toMatchObject({ kind: "exported", name: "demo", files: 6, zip: true });
    expect(nextStep(state(studio))).toBe("nothing");
  });
});

describe("when things break", () => {
  it("no WebGPU leaves the CPU reference on offer", async () => {
    const { studio, fake } = made({ gpu: new QuantError("no-webgpu", "none") });
    await studio.start();
    expect(state(studio).gpu).toMatchObject({ status: "missing", error: { code: "no-webgpu" } });
    expect(nextStep(state(studio))).toBe("reference");
    await studio.startReference();
    expect(fake.calls.slice(0, 3)).toEqual(["init(false)", "init(true)", "openDemo"]);
    expect(state(studio).gpu.facts?.kind).toBe("cpu");
    expect(state(studio).model.summary).not.toBeNull();
  });

  it("a dead worker can be started again, with the model that was open", async () => {
    const clients = [fakeClient(), fakeClient()];
    const studio = createStudio(() => clients.shift()!);
    const [first, second] = clients;
    studio.start();
    await studio.openDemo();
    await studio.run();
    first.options.fail = { measure: new QuantError("worker-died") };
    await studio.measure();
    expect(state(studio).gpu.status).toBe("dead");
    expect(state(studio).runs[0].held).toBe(false);
    expect(nextStep(state(studio))).toBe("restart");
    await studio.restart();
    expect(second.calls.slice(0, 2)).toEqual(["init(false)", "openDemo"]);
    expect(state(studio).gpu.status).toBe("ready");
    expect(state(studio).runs[0].blocks).toHaveLength(12);
    expect(nextStep(state(studio))).toBe("run");
    await studio.run();
    expect(state(studio).runs[1].status).toBe("done");
  });

  it("never asks the worker for two things at once, but for a cancel", async () => {
    let inside = 0;
    let most = 0;
    const fake = fakeClient(slow);
    const watched = {
      ...fake,
      async call(method: keyof StudioApi, ...args: never[]) {
        if (["cancel", "forget", "liveBytes"].includes(method)) return fake.call(method as "cancel");
        most = Math.max(most, ++inside);
        try {
          return await (fake.call as (m: string, ...a: never[]) => Promise<never>)(method, ...args);
        } finally {
          inside--;
        }
      },
    } as unknown as Fake;
    const studio = createStudio(() => watched);
    studio.start();
    studio.openDemo();
    await vi.advanceTimersByTimeAsync(1000);
    studio.editRecipe({ bits: 4 });
    const run = studio.run();
    studio.editRecipe({ bits: 8 });
    await vi.advanceTimersByTimeAsync(600);
    studio.cancel();
    await vi.runAllTimersAsync();
    await run;
    studio.remove("run-1");
    studio.measure();
    await vi.runAllTimersAsync();
    expect(most).toBe(1);
  });
});

it("removing a run frees its colour for the next", async () => {
  const { studio, fake } = await opened();
  await studio.run();
  await studio.addPartner("base");
  studio.remove("run-1");
  expect(state(studio).selected).toBe("run-2");
  await studio.run();
  expect(state(studio).runs.map((r) => [r.id, r.slot])).toEqual([
    ["run-2", 1],
    ["run-3", 0],
  ]);
  expect(fake.calls).toContain("forget");
});
