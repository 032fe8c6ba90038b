import { expect, test } from "vitest";
import { summaryOf } from "../../src/engine/summary";
import { openModel } from "../../src/model/checkpoint";
import { resolve } from "../../src/quant/resolve";
import type { LayerReport } from "../../src/results/report";
import { recipeWith } from "../support/recipe";
import { tinySource } from "../support/tiny";

const model = await openModel(tinySource());
const heldOut = { relativeError: 0.1, curve: { base: 1, slope: 0, curvature: 1 } };

const layers = (change: (report: Partial<LayerReport>, i: number) => Partial<LayerReport>): LayerReport[] =>
  model.layers.map(
    ({ name, kind, block }, i) => ({ name, kind, block, alpha: 0.5, heldOut, retries: 0, fallback: null, ...change({}, i) }) as LayerReport,
  );
const messages = (recipe: ReturnType<typeof recipeWith>, reports: LayerReport[]) =>
  summaryOf(resolve(recipe, model), reports).map(({ message }) => message);

test("what was chosen counts the layers that there was a choice for: not those of a rule, nor those that were not looked at", () => {
  const rules = [{ match: "down_proj", alpha: 0 }];
  // 21 layers, of them 3 down_proj with α 0 by a rule, and one that QEP did not look at.
  const reports = layers((_, i) => (i === 0 ? { heldOut: null, alpha: 0 } : i % 7 === 6 ? { alpha: 0 } : i < 3 ? { alpha: 0 } : {}));
  expect(messages(recipeWith({ rules }, { choice: "guarded" }), reports)[1]).toBe(
    "The guard set α to 0 in 2 of 17 layers, where QEP makes the error on held-out windows larger.",
  );
  expect(messages(recipeWith({ rules }, { choice: "best" }), reports)[1]).toBe(
    "Held-out windows chose α 0.44 on average over 17 layers, 0 in 2 of them.",
  );
  expect(messages(recipeWith({ rules }), reports)).toEqual(["All 21 layers were quantized as asked."]);
});

test("layers that needed more damping and those that fell back are told apart, at most five by name", () => {
  const reports = layers((_, i) => (i < 6 ? { fallback: "rounded", retries: 3 } : i < 9 ? { retries: 1 } : {}));
  const [message] = messages(recipeWith(), reports);
  expect(message).toMatch(/^3 of 21 layers needed more damping, 6 fell back \(model\.layers\.0\.self_attn\.q_proj, .*, …\)\.$/);
});
