import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { canFollow } from "../../src/store/live";
import { finishedAlphas, runsInSight } from "../../src/store/runs";
import { createStudio } from "../../src/store/studio";
import { type FakeOptions, fakeClient } from "./fake";

/** A run takes 84 events of 20 ms. */
const slow = { pause: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** The demo with one finished run, α ½. */
async function ran(options: FakeOptions = slow) {
  const fake = fakeClient(options);
  const studio = createStudio(() => fake);
  studio.start();
  studio.openDemo();
  await vi.advanceTimersByTimeAsync(1000);
  studio.run();
  await vi.advanceTimersByTimeAsync(4000);
  const state = () => studio.store.getState();
  const drag = (alpha: number) => studio.editRecipe({ qep: { alpha } });
  const seen = () => runsInSight(state()).map((r) => [r.number, r.recipe.qep.alpha, r.status]);
  return { fake, studio, state, drag, seen, wait: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

it("before the first run the slider only sets the recipe", async () => {
  const fake = fakeClient(slow);
  const studio = createStudio(() => fake);
  studio.start();
  studio.openDemo();
  await vi.advanceTimersByTimeAsync(1000);
  expect(canFollow(studio.store.getState())).toBe(false);
  studio.editRecipe({ qep: { alpha: 0.8 } });
  await vi.advanceTimersByTimeAsync(5000);
  expect(fake.calls).not.toContain("run");
});

it("a drag runs the newest α, the attempt under way giving way at once", async () => {
  const { fake, drag, seen, state, wait } = await ran();
  expect(canFollow(state())).toBe(true);
  drag(0.55);
  await wait(300);
  expect(state().job).toMatchObject({ kind: "run", live: true });
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.55, "running"],
  ]);
  const cancels = fake.calls.filter((c) => c === "cancel").length;
  drag(0.6);
  drag(0.65);
  expect(fake.calls.filter((c) => c === "cancel").length - cancels).toBe(1);
  drag(0.7);
  await wait(100);
  expect(fake.alphas).toEqual([0.5, 0.55, 0.7]);
  await wait(4000);
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.7, "done"],
  ]);
  expect(state()).toMatchObject({ job: null, outcome: { kind: "ran" }, selected: "run-3" });
});

it("the finished curve stays beneath while the next one grows over it, with its number and colour", async () => {
  const { drag, seen, state, wait } = await ran();
  drag(0.7);
  await wait(4000);
  const first = state().live.shown;
  drag(0.9);
  await wait(500);
  expect(state().live.under).toBe(first);
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.9, "running"],
  ]);
  await wait(4000);
  expect(state().live.under).toBeNull();
});

it("a finished α comes back without a run, a dragged one and the person's own", async () => {
  const { fake, drag, seen, state, wait } = await ran();
  drag(0.7);
  await wait(4000);
  drag(0.9);
  await wait(4000);
  const before = fake.alphas.length;
  drag(0.7);
  expect(seen()[1]).toEqual([2, 0.7, "done"]);
  expect(state().outcome).toMatchObject({ kind: "recalled" });
  drag(0.5);
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(state().selected).toBe("run-1");
  await wait(4000);
  expect(fake.alphas).toHaveLength(before);
  expect(finishedAlphas(state()).map((r) => r.recipe.qep.alpha)).toEqual([0.5, 0.7, 0.9]);
});

it("coming back to a finished α stops the attempt under way", async () => {
  const { drag, seen, state, wait } = await ran();
  drag(0.7);
  await wait(500);
  drag(0.5);
  await wait(500);
  expect(state().job).toBeNull();
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(state()).toMatchObject({ selected: "run-1", outcome: { kind: "recalled", runId: "run-1" } });
});

it("coming back to the α under way lets it go on", async () => {
  const { fake, drag, state, wait } = await ran();
  drag(0.7);
  await wait(500);
  const cancels = fake.calls.filter((c) => c === "cancel").length;
  drag(0.7);
  await wait(4000);
  expect(fake.calls.filter((c) => c === "cancel").length).toBe(cancels);
  expect(fake.alphas).toEqual([0.5, 0.7]);
  expect(state().runs.at(-1)).toMatchObject({ status: "done" });
});

it("Cancel stops it for good, and leaves what was in sight", async () => {
  const { studio, fake, drag, seen, state, wait } = await ran();
  drag(0.7);
  await wait(500);
  studio.cancel();
  await wait(3000);
  expect(state()).toMatchObject({ job: null, outcome: { kind: "cancelled", what: "live" }, selected: "run-1" });
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(fake.alphas).toEqual([0.5, 0.7]);
});

it("switched off, the slider only sets the recipe", async () => {
  const { studio, fake, drag, state, wait } = await ran();
  drag(0.7);
  await wait(500);
  studio.setLive(false);
  await wait(500);
  expect(state().job).toBeNull();
  drag(0.9);
  await wait(4000);
  expect(fake.alphas).toEqual([0.5, 0.7]);
});

it("waits for a job that is not its own, and then takes the newest α", async () => {
  const { studio, fake, drag, wait } = await ran();
  studio.measure();
  await wait(100);
  const cancels = fake.calls.filter((c) => c === "cancel").length;
  drag(0.7);
  drag(0.8);
  await wait(5000);
  expect(fake.calls.filter((c) => c === "cancel").length).toBe(cancels);
  expect(fake.alphas).toEqual([0.5, 0.8]);
});

it("another recipe or text has to be run once first", async () => {
  const { studio, fake, drag, state, wait } = await ran();
  studio.editRecipe({ bits: 2 });
  drag(0.7);
  studio.editRecipe({ bits: 3, calibration: { windows: 4 } });
  drag(0.8);
  await wait(4000);
  expect(fake.alphas).toEqual([0.5]);
  expect(canFollow(state())).toBe(false);
});

describe("the run that followed the slider", () => {
  it("stays when the person runs something else, and gives way to the same recipe run again", async () => {
    const { studio, drag, seen, wait } = await ran();
    drag(0.7);
    await wait(4000);
    studio.run();
    await wait(4000);
    expect(seen()).toEqual([
      [1, 0.5, "done"],
      [2, 0.7, "done"],
    ]);
    drag(0.8);
    await wait(4000);
    studio.addPartner("base");
    await wait(4000);
    expect(seen().map(([n, alpha]) => [n, alpha])).toEqual([
      [1, 0.5],
      [2, 0.7],
      [3, 0.8],
      [4, 0],
    ]);
  });

  it("can be kept, and the next drag draws a new one", async () => {
    const { studio, drag, seen, state, wait } = await ran();
    drag(0.7);
    await wait(4000);
    studio.keep(state().live.shown!);
    drag(0.8);
    await wait(4000);
    expect(seen().map(([n, alpha]) => [n, alpha])).toEqual([
      [1, 0.5],
      [2, 0.7],
      [3, 0.8],
    ]);
  });

  it("holds few weights in the worker", async () => {
    const { fake, drag, state, wait } = await ran();
    for (const alpha of [0.1, 0.2, 0.3, 0.4, 0.6]) {
      drag(alpha);
      await wait(4000);
    }
    const held = state().runs.filter((r) => r.held);
    expect(held.map((r) => r.recipe.qep.alpha)).toEqual([0.5, 0.3, 0.4, 0.6]);
    expect(fake.calls.filter((c) => c === "forget")).toHaveLength(2);
    expect(finishedAlphas(state())).toHaveLength(6);
  });
});

it("an attempt that fails says why, and is not tried again", async () => {
  const { fake, drag, seen, state, wait } = await ran();
  fake.options.fail = { run: new QuantError("gpu-out-of-memory", "in block 3") };
  drag(0.7);
  await wait(2000);
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "gpu-out-of-memory" } });
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(fake.calls.filter((c) => c === "run")).toHaveLength(2);
});
