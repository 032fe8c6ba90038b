import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { defaultRecipe } from "../../src/recipe/recipe";
import { evaluatedLength, evaluatedTexts, labelOf, measurementsLeft, onCalibration, requestOf } from "../../src/store/measuring";
import { demoText, type TextChoice } from "../../src/store/texts";
import { aRun } from "./a-run";
import { opened } from "./opened";

const pasted = (text: string): TextChoice => ({ kind: "pasted", pasted: text, file: null });
const settings = { text: demoText, windows: 16, calibrationToo: false };
const done = (more: Partial<Parameters<typeof aRun>[0]> = {}) =>
  aRun({ status: "done", held: true, blocks: [{ index: 0, delta: 1, relativeDelta: 0.1 }], ...more });

it("runs of other window lengths see other windows, so they are other columns", () => {
  const long = done({ id: "run-2", recipe: { ...defaultRecipe, calibration: { ...defaultRecipe.calibration, windowLength: 64 } } });
  const keys = measurementsLeft([done(), long], settings).map((m) => m.key);
  expect(new Set(keys).size).toBe(2);
});

it("the demo's evaluation text has windows of 128, however long a model's own are, and of no more than calibration has", () => {
  const length = (windowLength: number, text: TextChoice) =>
    evaluatedLength(text, { ...defaultRecipe, calibration: { ...defaultRecipe.calibration, windowLength } });
  expect([16, 128, 256].map((own) => length(own, demoText))).toEqual([16, 128, 128]);
  expect(length(256, pasted("mine"))).toBe(256);
  const [asked] = measurementsLeft([done()], settings);
  expect(requestOf(asked, settings).windowLength).toBe(128);
});

it("on its calibration text a run is measured on the very windows it was calibrated on", () => {
  const calibration = { windows: 9, windowLength: 64, seed: 4 };
  const run = done({ text: pasted("mine"), recipe: { ...defaultRecipe, calibration } });
  const targets = measurementsLeft([run, aRun({ id: "run-2" })], { ...settings, calibrationToo: true });
  expect(targets.map((t) => requestOf(t, settings))).toEqual([
    { runId: "run-1", use: "evaluation", text: { kind: "demo" }, windows: 16, windowLength: 64 },
    { runId: "run-1", use: "calibration", text: { kind: "run", runId: "run-1" }, windows: null, windowLength: 64 },
  ]);
  // Of an architecture that cannot be run.
  expect(measurementsLeft([done({ blocks: [] })], settings)).toEqual([]);
  expect(targets[1].key).toBe(onCalibration);
});

it("a run whose calibration text is measured on as another text says so; the demo has two texts", () => {
  const target = (text: TextChoice) => measurementsLeft([done({ text })], { ...settings, text })[0];
  expect(labelOf(target(pasted("a")), { ...settings, text: pasted("a") })).toEqual({ textLabel: "pasted text", own: true });
  expect(labelOf(target(pasted("a")), { ...settings, text: pasted("b") }).own).toBe(false);
  expect(labelOf(target(demoText), settings)).toEqual({ textLabel: "demo evaluation text", own: false });
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("a second text adds to the first, in the order they were measured", async () => {
  const { studio, asked, state: now } = await opened();
  await studio.run();
  await studio.measure();
  studio.editEvaluation({ text: pasted("t3 t1 t4 t1 t5 t9 t2 t6 ".repeat(20)), calibrationToo: true });
  await studio.measure();
  const state = now();
  expect(state.runs[0].measured.map((m) => m.textLabel)).toEqual(["demo evaluation text", "pasted text", "demo calibration text"]);
  expect(evaluatedTexts(state.runs).map((t) => t.label)).toEqual(["demo evaluation text", "pasted text"]);
  expect(state.outcome).toMatchObject({ kind: "measured", runs: 1 });
  expect(asked("measure")).toBe(3);
  await studio.measure();
  studio.editEvaluation({ text: demoText });
  await studio.measure();
  expect(asked("measure")).toBe(3);
});

it("the error about a text goes once another is chosen, and what was done stays said", async () => {
  const { studio, state } = await opened();
  await studio.run();
  studio.editEvaluation({ text: pasted("t1") });
  await studio.measure();
  expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "text-too-short" } });
  studio.editEvaluation({ text: demoText });
  expect(state().outcome).toEqual({ kind: "none" });
  await studio.measure();
  studio.editEvaluation({ windows: 2 });
  expect(state().outcome).toMatchObject({ kind: "measured" });
  studio.editTasks({ kind: "file" });
  await studio.score();
  expect(state().outcome).toMatchObject({ kind: "failed" });
  studio.editTasks({ kind: "demo" });
  expect(state().outcome).toEqual({ kind: "none" });
});
