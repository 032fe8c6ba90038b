import { defaultRecipe } from "../../src/recipe/recipe";
import { newRun } from "../../src/store/runs";
import type { Run } from "../../src/store/state";
import { demoText } from "../../src/store/texts";

/** A run with what a test is about; the rest is as at its start. */
export const aRun = (about: Partial<Run>): Run => ({
  ...newRun({ id: "run-1", number: 1, slot: 0, recipe: defaultRecipe, text: demoText, dragged: false }, 12),
  ...about,
});
