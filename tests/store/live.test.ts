import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { canFollow } from "../../src/store/live";
import { finishedAlphas, runsInSight } from "../../src/store/runs";
import { until } from "../support/real-client";
import { opened } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** The demo with one finished run, α ½. */
async function ran() {
  const page = await opened();
  const { client, studio, state } = page;
  await studio.run();
  await page.settled();
  return {
    ...page,
    drag: (alpha: number) => studio.editRecipe({ qep: { alpha } }),
    /** Drags, and waits until the attempt stands still after the second block. */
    async dragInto(alpha: number) {
      client.holdAfter((e) => e.type === "block" && e.block.index === 1);
      studio.editRecipe({ qep: { alpha } });
      await until(() => client.held);
    },
    seen: () => runsInSight(state()).map((r) => [r.number, r.recipe.qep.alpha, r.status]),
  };
}

it("before the first run the slider only sets the recipe", async () => {
  const { studio, state, settled, asked } = await opened();
  expect(canFollow(state())).toBe(false);
  studio.editRecipe({ qep: { alpha: 0.8 } });
  await settled();
  expect(asked("run")).toBe(0);
});

it("a drag runs the newest α, the attempt under way giving way at once", async () => {
  const { client, drag, dragInto, seen, state, settled, asked } = await ran();
  expect(canFollow(state())).toBe(true);
  await dragInto(0.55);
  expect(state().job).toMatchObject({ kind: "run", live: true });
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.55, "running"],
  ]);
  const cancels = asked("cancel");
  drag(0.6);
  drag(0.65);
  expect(asked("cancel") - cancels).toBe(1);
  drag(0.7);
  await settled();
  expect(client.alphas).toEqual([0.5, 0.55, 0.7]);
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.7, "done"],
  ]);
  expect(state()).toMatchObject({ job: null, outcome: { kind: "ran" }, selected: "run-3" });
});

it("the finished curve stays beneath while the next one grows over it, with its number and colour", async () => {
  const { client, drag, dragInto, seen, state, settled } = await ran();
  drag(0.7);
  await settled();
  const first = state().live.shown;
  await dragInto(0.9);
  expect(state().live.under).toBe(first);
  expect(seen()).toEqual([
    [1, 0.5, "done"],
    [2, 0.9, "running"],
  ]);
  client.release();
  await settled();
  expect(state().live.under).toBeNull();
});

it("a finished α comes back without a run, a dragged one and the person's own", async () => {
  const { client, drag, seen, state, settled } = await ran();
  drag(0.7);
  await settled();
  drag(0.9);
  await settled();
  const before = client.alphas.length;
  drag(0.7);
  expect(seen()[1]).toEqual([2, 0.7, "done"]);
  expect(state().outcome).toMatchObject({ kind: "recalled" });
  drag(0.5);
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(state().selected).toBe("run-1");
  await settled();
  expect(client.alphas).toHaveLength(before);
  expect(finishedAlphas(state()).map((r) => r.recipe.qep.alpha)).toEqual([0.5, 0.7, 0.9]);
});

it("coming back to a finished α stops the attempt under way", async () => {
  const { drag, dragInto, seen, state, settled } = await ran();
  await dragInto(0.7);
  drag(0.5);
  await settled();
  expect(state().job).toBeNull();
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(state()).toMatchObject({ selected: "run-1", outcome: { kind: "recalled", runId: "run-1" } });
});

it("coming back to the α under way lets it go on", async () => {
  const { client, drag, dragInto, state, settled, asked } = await ran();
  await dragInto(0.7);
  const cancels = asked("cancel");
  drag(0.7);
  client.release();
  await settled();
  expect(asked("cancel")).toBe(cancels);
  expect(client.alphas).toEqual([0.5, 0.7]);
  expect(state().runs.at(-1)).toMatchObject({ status: "done" });
});

it("Cancel stops it for good, and leaves what was in sight", async () => {
  const { client, studio, dragInto, seen, state, settled } = await ran();
  await dragInto(0.7);
  studio.cancel();
  await settled();
  expect(state()).toMatchObject({ job: null, outcome: { kind: "cancelled", what: "live" }, selected: "run-1" });
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(client.alphas).toEqual([0.5, 0.7]);
});

it("switched off, the slider only sets the recipe", async () => {
  const { client, studio, drag, dragInto, state, settled } = await ran();
  await dragInto(0.7);
  studio.setLive(false);
  await settled();
  expect(state().job).toBeNull();
  drag(0.9);
  await settled();
  expect(client.alphas).toEqual([0.5, 0.7]);
});

it("waits for a job that is not its own, and then takes the newest α", async () => {
  const { client, studio, drag, settled, asked } = await ran();
  client.holdAfter((e) => e.type === "progress");
  studio.measure();
  await until(() => client.held);
  const cancels = asked("cancel");
  drag(0.7);
  drag(0.8);
  client.release();
  await settled();
  expect(asked("cancel")).toBe(cancels);
  expect(client.alphas).toEqual([0.5, 0.8]);
});

it("another recipe or text has to be run once first", async () => {
  const { client, studio, drag, state, settled } = await ran();
  studio.editRecipe({ bits: 2 });
  drag(0.7);
  studio.editRecipe({ bits: 3, calibration: { windows: 8 } });
  drag(0.8);
  await settled();
  expect(client.alphas).toEqual([0.5]);
  expect(canFollow(state())).toBe(false);
});

describe("the run that followed the slider", () => {
  it("stays when the person runs something else, and gives way to the same recipe run again", async () => {
    const { studio, drag, seen, settled } = await ran();
    drag(0.7);
    await settled();
    studio.run();
    await settled();
    expect(seen()).toEqual([
      [1, 0.5, "done"],
      [2, 0.7, "done"],
    ]);
    drag(0.8);
    await settled();
    studio.addPartner("base");
    await settled();
    expect(seen().map(([n, alpha]) => [n, alpha])).toEqual([
      [1, 0.5],
      [2, 0.7],
      [3, 0.8],
      [4, 0],
    ]);
  });

  it("can be kept, and the next drag draws a new one", async () => {
    const { studio, drag, seen, state, settled } = await ran();
    drag(0.7);
    await settled();
    studio.keep(state().live.shown!);
    drag(0.8);
    await settled();
    expect(seen().map(([n, alpha]) => [n, alpha])).toEqual([
      [1, 0.5],
      [2, 0.7],
      [3, 0.8],
    ]);
  });

  it("holds few weights in the worker", async () => {
    const { drag, state, settled, asked } = await ran();
    for (const alpha of [0.1, 0.2, 0.3, 0.4, 0.6]) {
      drag(alpha);
      await settled();
    }
    const held = state().runs.filter((r) => r.held);
    expect(held.map((r) => r.recipe.qep.alpha)).toEqual([0.5, 0.3, 0.4, 0.6]);
    expect(asked("forget")).toBe(2);
    expect(finishedAlphas(state())).toHaveLength(6);
  });
});

it("an attempt that fails says why, and is not tried again", async () => {
  const { client, drag, seen, state, settled, asked } = await ran();
  client.fail = { run: new QuantError("gpu-out-of-memory", "in block 3") };
  drag(0.7);
  await settled();
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "gpu-out-of-memory" } });
  expect(seen()).toEqual([[1, 0.5, "done"]]);
  expect(asked("run")).toBe(2);
});
