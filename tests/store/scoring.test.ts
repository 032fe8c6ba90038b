import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { nextStep } from "../../src/store/next";
import { createStudio } from "../../src/store/studio";
import { type FakeOptions, fakeClient } from "./fake";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function opened(options?: FakeOptions) {
  const fake = fakeClient(options);
  const studio = createStudio(() => fake);
  studio.start();
  studio.openDemo();
  await vi.advanceTimersByTimeAsync(1000);
  return { studio, fake, state: () => studio.store.getState(), asked: () => fake.calls.filter((c) => c === "scoreTasks").length };
}

it("scores every finished run once for the same questions, and adds other questions to them", async () => {
  const { studio, state, asked } = await opened();
  await studio.score(); // nothing to score yet
  expect(asked()).toBe(0);
  await studio.run();
  await studio.addPartner("base");
  const before = nextStep(state());
  await studio.score();
  expect(asked()).toBe(2);
  expect(state().outcome).toMatchObject({ kind: "scored", runs: 2 });
  expect(nextStep(state())).toBe(before);
  await studio.score();
  expect(asked()).toBe(2);
  studio.editTasks({ limit: 20 });
  await studio.score();
  expect(asked()).toBe(4);
  expect(state().runs.map((r) => r.scored.map((s) => s.result.changes?.at(-1)?.questions))).toEqual([
    [100, 20],
    [100, 20],
  ]);
  expect(state().log.at(-1)).toMatchObject({ run: 2, message: "Accuracy on the demo’s tasks: 80.0 → 65.0 % of 20." });
});

it("says that a file is missing, and starts with one for a person's own model", async () => {
  const { studio, state, asked } = await opened();
  await studio.run();
  studio.editTasks({ kind: "file" });
  await studio.score();
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "missing-file" } });
  expect(asked()).toBe(0);
  await studio.openDemo();
  expect(state()).toMatchObject({ tasks: { kind: "demo" }, model: { demo: true } });
  await studio.openFiles([], "mine");
  expect(state()).toMatchObject({ tasks: { kind: "file" }, model: { demo: false } });
});

it("keeps what was scored before a cancel", async () => {
  const { studio, state } = await opened({ pause: () => new Promise((resolve) => setTimeout(resolve, 20)) });
  for (const work of [() => studio.run(), () => studio.addPartner("base")]) {
    const done = work();
    await vi.runAllTimersAsync();
    await done;
  }
  const done = studio.score();
  await vi.advanceTimersByTimeAsync(20 * 12);
  studio.cancel();
  await vi.runAllTimersAsync();
  await done;
  expect(state().outcome).toEqual({ kind: "cancelled", what: "score" });
  expect(state().runs.map((r) => r.scored.length)).toEqual([1, 0]);
});

it("scores a checkpoint that is quantized already as it is", async () => {
  const { studio, state, asked } = await opened({ model: { packing: "GPTQ 4-bit" } });
  await studio.score();
  await studio.score();
  expect(asked()).toBe(1);
  expect(state().model.scored).toMatchObject([{ label: "the demo’s tasks", result: { changes: null } }]);
  expect(state().outcome).toMatchObject({ kind: "scored", runs: 0 });
  await studio.openDemo();
  expect(state().model.scored).toEqual([]);
});
