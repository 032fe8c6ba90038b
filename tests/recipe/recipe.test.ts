import { describe, expect, test } from "vitest";
import { alphaOf, baseOf, defaultRecipe, isBase, recipeTitle } from "../../src/recipe/recipe";
import { parseRecipe } from "../../src/recipe/schema";
import { recipeWith } from "../support/recipe";

describe("α of a layer", () => {
  test("is its name's, else its kind's, else the general one; down_proj is 0 unless named", () => {
    const recipe = recipeWith({}, { alphaFor: { q_proj: 0.2, "model.layers.3.self_attn.q_proj": 0.9 } });
    expect(alphaOf(recipe, "model.layers.3.self_attn.q_proj", "q_proj")).toBe(0.9);
    expect(alphaOf(recipe, "model.layers.4.self_attn.q_proj", "q_proj")).toBe(0.2);
    expect(alphaOf(recipe, "model.layers.4.self_attn.k_proj", "k_proj")).toBe(0.5);
    expect(alphaOf(recipe, "model.layers.4.mlp.down_proj", "down_proj")).toBe(0);
  });

  test("a base has none anywhere", () => {
    expect(isBase(recipeWith({}, { alpha: 0 }))).toBe(true);
    expect(isBase(recipeWith({}, { alpha: 0, alphaFor: { down_proj: 0.5 } }))).toBe(false);
    expect(isBase(baseOf(recipeWith({}, { alphaFor: { down_proj: 0.5 } })))).toBe(true);
  });
});

test("a title says what was done", () => {
  expect(recipeTitle(recipeWith({ bits: 3, groupSize: 64, symmetric: true, blocks: 10 }))).toBe(
    "RTN 3-bit g64 sym + QEP α 0.5 first 10 blocks",
  );
  expect(recipeTitle(recipeWith({}, { alpha: 0 }))).toBe("RTN 4-bit");
});

describe("recipe.json", () => {
  test("round-trips, and missing fields take their defaults", () => {
    expect(parseRecipe(JSON.parse(JSON.stringify(defaultRecipe)))).toEqual(defaultRecipe);
    expect(parseRecipe({ bits: 2, qep: { alpha: 1 } })).toEqual(recipeWith({ bits: 2 }, { alpha: 1 }));
  });

  test.each([
    [{ bits: 5 }, "bits must be one of 2, 3, 4, 8"],
    [{ method: "magic" }, "method must be one of rtn"],
    [{ qep: { alpha: 2 } }, "α must be at most 1"],
    [{ qep: { alpha: Number.NaN } }, "α"],
    [{ qep: { alphaFor: { q_proj: -1 } } }, "α must be at least 0"],
    [{ calibration: { windowLength: 1 } }, "windowLength must be at least 2"],
    [{ blocks: 1.5 }, "blocks must be a whole number"],
    [{ colour: "red" }, "colour"],
    [[], "not a JSON object"],
  ])("%j is refused: %s", (input, words) => {
    expect(() => parseRecipe(input)).toThrow(words);
  });
});
