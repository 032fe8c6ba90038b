import { describe, expect, test } from "vitest";
import { changeRecipe } from "../../src/recipe/access";
import { baseOf, defaultRecipe, isBase, type LayerRule, needsHeldOut, recipeTitle } from "../../src/recipe/recipe";
import { alphaOf, matches, ruleOf, ruleText, settingsOf } from "../../src/recipe/rules";
import { parseRecipe } from "../../src/recipe/schema";
import { slowPattern } from "../io/bombs";
import { recipeWith } from "../support/recipe";

describe("settings of a layer", () => {
  test("are the recipe's with its rules on top, a later one beating an earlier one field by field", () => {
    const rules: LayerRule[] = [
      { match: "q_proj", alpha: 0.2, bits: 8 },
      { match: "layers.3.*", alpha: 0.9, groupSize: 32 },
      { match: "model.layers.3.self_attn.q_proj", method: "gptq" },
    ];
    const recipe = recipeWith({ rules });
    expect(settingsOf(recipe, "model.layers.3.self_attn.q_proj")).toEqual({
      method: "gptq",
      bits: 8,
      groupSize: 32,
      type: "none",
      symmetric: false,
      zeros: "integer",
      alpha: 0.9,
      alphaFixed: true,
    });
    expect(settingsOf(recipe, "model.layers.4.self_attn.q_proj")).toMatchObject({ method: "rtn", bits: 8, groupSize: -1, alpha: 0.2 });
    expect(settingsOf(recipe, "model.layers.4.self_attn.k_proj")).toMatchObject({ bits: 4, alpha: 0.5, alphaFixed: false });
    expect(alphaOf(recipe, "model.layers.4.mlp.down_proj")).toBe(0);
    expect(alphaOf(recipe, "model.layers.3.mlp.down_proj")).toBe(0.9);
  });

  test.each([
    ["down_proj", "model.layers.0.mlp.down_proj", true],
    ["proj", "model.layers.0.mlp.down_proj", false],
    ["layers.1.*", "model.layers.1.mlp.up_proj", true],
    ["layers.1.*", "model.layers.11.mlp.up_proj", false],
    ["layers.1*.mlp.*_proj", "model.layers.11.mlp.up_proj", true],
    ["layers.1*.mlp.*_proj", "model.layers.11.self_attn.q_proj", false],
    ["*", "model.layers.0.mlp.down_proj", true],
    ["mlp.*proj*proj", "model.layers.0.mlp.down_proj", false],
    ["model.layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj", true],
    ["layers.0.mlp", "model.layers.0.mlp.down_proj", false],
  ])("%s for %s: %s", (pattern, name, want) => {
    expect(matches(pattern, name)).toBe(want);
  });

  test("a pattern that backtracking would never finish with has an answer", () => {
    expect(matches(...slowPattern)).toBe(false);
  });

  test("a base has α 0 everywhere, and keeps what else the rules say", () => {
    expect(isBase(recipeWith({}, { alpha: 0 }))).toBe(true);
    expect(isBase(recipeWith({ rules: [{ match: "down_proj", alpha: 0.5 }] }, { alpha: 0 }))).toBe(false);
    expect(isBase(recipeWith({}, { alpha: 0, choice: "best" }))).toBe(false);
    const base = baseOf(
      recipeWith(
        {
          rules: [
            { match: "down_proj", alpha: 0.5 },
            { match: "o_proj", alpha: 1, bits: 8 },
          ],
        },
        { choice: "best" },
      ),
    );
    expect(isBase(base)).toBe(true);
    // On the same windows.
    expect(needsHeldOut(base)).toBe(true);
    expect(base.rules).toEqual([{ match: "o_proj", bits: 8 }]);
  });
});

describe("a rule as text", () => {
  test.each(["down_proj: bits=8 group=32", "layers.0.*: method=gptq bits=3 group=-1 alpha=0.25", "*: alpha=0"])("%s", (written) => {
    const read = ruleOf(written);
    expect("rule" in read && ruleText(read.rule)).toBe(written);
  });

  test.each([
    ["down_proj", "form"],
    ["down_proj:", "form"],
    [": bits=4", "form"],
    ["o_proj: size=4", "“size=4”"],
    ["o_proj: bits=", "“bits=”"],
    ["o_proj: toString=4", "“toString=4”"],
  ])("%s is refused", (written, words) => {
    const read = ruleOf(written);
    expect("fault" in read && read.fault).toContain(words);
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
    expect(parseRecipe({ bits: 2, qep: { alpha: 1 } })).toEqual(changeRecipe(defaultRecipe, { bits: 2, qep: { alpha: 1 } }));
  });

  test("of version 1 means what it meant: RTN where it names no method, plain GPTQ, down_proj not corrected, the authors' damping", () => {
    expect(parseRecipe({ version: 1, bits: 3, gptq: { mse: true } })).toEqual({
      ...changeRecipe(defaultRecipe, {
        method: "rtn",
        bits: 3,
        qep: { downProj: false, damp: 0.01 },
        gptq: { actOrder: false, mse: true, damp: 0.01 },
      }),
    });
    expect(parseRecipe({ version: 1, gptq: { actOrder: true } }).gptq.actOrder).toBe(true);
    expect(() => parseRecipe({ version: 3 })).toThrow("version must be 1 or 2");
  });

  test("of version 0.1 keeps its α by kind and by name, the name winning", () => {
    const name = "model.layers.3.self_attn.q_proj";
    const recipe = parseRecipe({ qep: { alphaFor: { [name]: 0.9, q_proj: 0.2 } } });
    expect(alphaOf(recipe, name)).toBe(0.9);
    expect(alphaOf(recipe, "model.layers.4.self_attn.q_proj")).toBe(0.2);
  });

  test.each([
    [{ bits: 5 }, "bits must be one of 2, 3, 4, 8"],
    [{ method: "magic" }, "method must be one of rtn"],
    [{ qep: { alpha: 2 } }, "qep.alpha must be at most 1"],
    [{ qep: { alpha: Number.NaN } }, "qep.alpha must be a number"],
    [{ qep: { damp: Number.POSITIVE_INFINITY } }, "qep.damp must be finite"],
    [{ qep: 0.5 }, "qep must be an object"],
    [{ qep: { alphaFor: { q_proj: -1 } } }, "rule 1: alpha must be at least 0"],
    [{ qep: { choice: "magic" } }, "qep.choice must be one of given, guarded, best"],
    [
      {
        rules: [
          { match: "k_proj", bits: 8 },
          { match: "q_proj", bits: 5 },
        ],
      },
      "rule 2: bits must be one of",
    ],
    [{ rules: [{ match: "q_proj", colour: 5 }] }, "rule 1: colour is not a field of a rule"],
    [{ rules: [{ match: "", bits: 8 }] }, "match is empty"],
    [{ rules: [{ match: "a:b", bits: 8 }] }, "match may hold"],
    [{ rules: [{ match: "down_proj" }] }, "rule 1 changes nothing: it needs method, bits, groupSize, type or alpha"],
    [{ rules: 5, qep: { alphaFor: { q_proj: 1 } } }, "rules must be a list"],
    [{ calibration: { windowLength: 1 } }, "windowLength must be at least 2"],
    [{ blocks: 1.5 }, "blocks must be a whole number"],
    [{ colour: "red" }, "colour is not a field of a recipe"],
    [{ gptq: { colour: "red" } }, "gptq.colour is not a field of a recipe’s gptq"],
    [[], "not a JSON object"],
  ])("%j is refused: %s", (input, words) => {
    expect(() => parseRecipe(input)).toThrow(words);
  });
});
