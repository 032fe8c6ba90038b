import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createStudio } from "../../src/store/studio";
import { recipeWith } from "../support/recipe";
import { fakeClient } from "./fake";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("a model that can only be rounded takes a recipe that can be done, and gives the person's back", async () => {
  const fake = fakeClient({ model: { shape: null } });
  const studio = createStudio(() => fake);
  const state = () => studio.store.getState();
  studio.start();
  studio.editRecipe({ method: "gptq", rotation: 3, qep: { choice: "best" } });
  await studio.openFiles([], "other");
  expect(state().recipe).toMatchObject({
    method: "rtn",
    rotation: null,
    qep: { alpha: 0, choice: "given" },
    format: "dense",
  });
  studio.loadRecipe(recipeWith({ method: "awq", bits: 3, rules: [{ match: "down_proj", method: "gptq" }] }));
  expect(state().recipe).toMatchObject({ method: "rtn", bits: 3, rules: [], qep: { alpha: 0 } });
  // Nothing has to be chosen that is not calibrated on.
  studio.chooseCalibration({ kind: "file" });
  await vi.advanceTimersByTimeAsync(1000);
  expect(state().plan.error).toBeNull();
  fake.options.model = {};
  await studio.openDemo();
  expect(state().recipe).toMatchObject({ method: "gptq", rotation: 3, qep: { choice: "best" } });
});
