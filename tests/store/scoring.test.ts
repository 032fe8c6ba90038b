import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { nextStep } from "../../src/store/next";
import { until } from "../support/real-client";
import { checkpointFiles, given, made, opened, packedFiles } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("scores every finished run once for the same questions, and adds other questions to them", async () => {
  const { studio, state, asked } = await opened();
  await studio.score(); // nothing to score yet
  expect(asked("scoreTasks")).toBe(0);
  await studio.run();
  await studio.addPartner("base");
  const before = nextStep(state());
  await studio.score();
  expect(asked("scoreTasks")).toBe(2);
  expect(state().outcome).toMatchObject({ kind: "scored", runs: 2 });
  expect(nextStep(state())).toBe(before);
  await studio.score();
  expect(asked("scoreTasks")).toBe(2);
  studio.editTasks({ limit: 20 });
  await studio.score();
  expect(asked("scoreTasks")).toBe(4);
  // The demo has 24 questions, which is less than the limit of the first time.
  expect(state().runs.map((r) => r.scored.map((s) => s.result.changes?.at(-1)?.questions))).toEqual([
    [24, 20],
    [24, 20],
  ]);
  const { before: right, after } = state().runs[1].scored[1].result.changes!.at(-1)!.accuracy;
  const percent = (x: number) => (100 * x).toFixed(1);
  const message = `Accuracy on the demo’s tasks: ${percent(right)} → ${percent(after)} % of 20.`;
  expect(state().log.at(-1)).toMatchObject({ run: 2, message });
});

it("says that a file is missing, and starts with one for a person's own model", async () => {
  const { studio, state, asked } = await opened();
  await studio.run();
  studio.editTasks({ kind: "file" });
  await studio.score();
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "missing-file" } });
  expect(asked("scoreTasks")).toBe(0);
  await studio.openDemo();
  expect(state()).toMatchObject({ tasks: { kind: "demo" }, model: { demo: true } });
  await studio.openFiles(given(checkpointFiles(), "mine"));
  expect(state()).toMatchObject({ tasks: { kind: "file" }, model: { demo: false } });
});

it("keeps what was scored before a cancel", async () => {
  const { client, studio, state } = await opened();
  await studio.run();
  await studio.addPartner("base");
  // Of the second run.
  client.holdAfter((e) => e.type === "progress" && state().job?.part === 2);
  const done = studio.score();
  await until(() => client.held);
  studio.cancel();
  await done;
  expect(state().outcome).toEqual({ kind: "cancelled", what: "score" });
  expect(state().runs.map((r) => r.scored.length)).toEqual([1, 0]);
});

it("scores a checkpoint that is quantized already as it is", async () => {
  const { studio, state, asked } = made();
  await studio.start();
  await studio.openFiles(given(await packedFiles(), "packed"));
  studio.editTasks({ kind: "demo", limit: 6 });
  await studio.score();
  await studio.score();
  expect(asked("scoreTasks")).toBe(1);
  expect(state().model.scored).toMatchObject([{ label: "the demo’s tasks", result: { changes: null } }]);
  expect(state().outcome).toMatchObject({ kind: "scored", runs: 0 });
  await studio.openDemo();
  expect(state().model.scored).toEqual([]);
});
