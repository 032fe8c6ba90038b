import { expect, test } from "vitest";
import { checkLimits, largestMatrix, largestWeights } from "../../src/engine/limits";
import { openModel } from "../../src/model/checkpoint";
import { resolve } from "../../src/quant/resolve";
import type { LayerRule, Recipe } from "../../src/recipe/recipe";
import { recipeWith } from "../support/recipe";
import { tinySource } from "../support/tiny";

const model = await openModel(tinySource());
const planOf = (change: Partial<Recipe>, alpha = 0) => resolve(recipeWith({ method: "rtn", ...change }, { alpha }), model);

test("the largest matrix is told by name: weights where nothing needs a Hessian, else the widest inputs'", () => {
  // hidden 24, mlp 40
  expect(largestMatrix(model.spec, planOf({}))).toEqual({ what: "the weights of gate_proj", bytes: 4 * 24 * 40 });
  expect(largestMatrix(model.spec, planOf({ method: "gptq" }))).toEqual({ what: "the Hessian of down_proj's inputs", bytes: 4 * 40 * 40 });
  const rules: LayerRule[] = [{ match: "layers.2.mlp.down_proj", method: "gptq" }];
  expect(largestMatrix(model.spec, planOf({ rules })).what).toBe("the Hessian of down_proj's inputs");
});

test("what no binding holds is refused before any work, with both sizes", () => {
  const limits = { buffer: 2 ** 20, binding: 4 * 40 * 40 - 1 };
  expect(() => checkLimits(largestMatrix(model.spec, planOf({})), limits)).not.toThrow();
  expect(() => checkLimits(largestMatrix(model.spec, planOf({ method: "gptq" })), null)).not.toThrow();
  expect(() => checkLimits(largestMatrix(model.spec, planOf({ method: "gptq" })), limits)).toThrow(
    "This model needs more than the GPU allows: the Hessian of down_proj's inputs would take 1 MiB, but this GPU allows 1 MiB for one matrix.",
  );
});

test("of a checkpoint that can only be rounded, weights are what counts", () => {
  const { what, bytes } = largestWeights(planOf({ method: "gptq" }));
  expect({ what, bytes }).toEqual({ what: "the weights of model.layers.0.mlp.gate_proj", bytes: 4 * 24 * 40 });
});
