import { describe, expect, it } from "vitest";
import { otherOptions } from "../../src/cli/args";
import { changeRecipe, isUsed, rowAt, withoutIdle } from "../../src/recipe/access";
import { flagsText, recipeOptions, withCheckedFlags } from "../../src/recipe/flags";
import { methodIds, methods } from "../../src/recipe/methods";
import { defaultRecipe, type LayerRule, type Path, type Recipe } from "../../src/recipe/recipe";
import { rows, usersOf } from "../../src/recipe/rows";
import { ruleRows } from "../../src/recipe/rules";
import { recipeWith } from "../support/recipe";

const paths = rows.map(({ path }) => path);
const doubled = (names: readonly string[]) => names.filter((name, at) => names.indexOf(name) !== at);

describe("the table", () => {
  it("gives every field an option, a word and a name in rules of its own", () => {
    const switches = rows.flatMap(({ field }) => (field.kind === "optional" && field.switch ? [field.switch.flag] : []));
    expect(doubled([...rows.map(({ field }) => field.flag), ...switches, ...Object.keys(otherOptions)])).toEqual([]);
    expect(doubled(ruleRows.map(({ field }) => field.rule!))).toEqual([]);
    expect(doubled(ruleRows.map(({ key }) => key))).toEqual([]);
  });

  it("names only paths that there are", () => {
    expect(
      rows
        .flatMap(({ field }) => [field.unless, field.onlyIf].flatMap((other) => other?.path ?? []))
        .filter((path) => !paths.includes(path)),
    ).toEqual([]);
    expect(methodIds.flatMap((id) => methods[id].borrows).filter((path) => !paths.includes(path))).toEqual([]);
    const options = methodIds.flatMap((id) => Object.keys(methods[id].options).map((key) => `${id}.${key}`));
    expect(options.filter((path) => !paths.includes(path))).toEqual([]);
  });

  it("says everything in one sentence", () => {
    for (const { path, field } of rows) expect(field.help, path).toMatch(/^[A-Z][^.]+\.$/);
  });

  it("has the types of the values that it has", () => {
    const typed: { bits: 2 | 3 | 4 | 8; alpha: number; windows: number | null; choice: "given" | "guarded" | "best"; rule: LayerRule } = {
      bits: defaultRecipe.bits,
      alpha: defaultRecipe.qep.alpha,
      windows: defaultRecipe.calibration.windows,
      choice: defaultRecipe.qep.choice,
      rule: { match: "o_proj", method: "quip", bits: 8, groupSize: 32, alpha: 0.5 },
    };
    expect(typed.bits).toBe(4);
    // @ts-expect-error: no field of a recipe.
    expect((defaultRecipe as Recipe).colour).toBeUndefined();
    // @ts-expect-error: five bits are not to be had.
    expect<Recipe["bits"]>(5).toBe(5);
    // @ts-expect-error: a rule cannot change it.
    expect<LayerRule>({ match: "o_proj", symmetric: true }).toBeDefined();
  });
});

describe("a method's options", () => {
  it.each<[Path, string[]]>([
    ["gptq.damp", ["gptq", "quip", "gptaq"]],
    ["gptq.actOrder", ["gptq", "gptaq"]],
    ["quip.seed", ["quip"]],
  ])("%s is of %j", (path, users) => {
    expect(usersOf(rowAt(path))).toEqual(users);
  });

  it("are used by the recipe's method and by its rules', others by what they depend on", () => {
    const used = (recipe: Recipe) => isUsed(recipe, rowAt("quip.seed"));
    expect([recipeWith(), recipeWith({ method: "quip" }), recipeWith({ rules: [{ match: "o_proj", method: "quip" }] })].map(used)).toEqual([
      false,
      true,
      true,
    ]);
    expect(isUsed(recipeWith(), rowAt("qep.heldOut"))).toBe(false);
    expect(isUsed(recipeWith({}, { choice: "best" }), rowAt("qep.heldOut"))).toBe(true);
    expect(isUsed(recipeWith({ format: "gptq" }), rowAt("denseDtype"))).toBe(false);
    expect(isUsed(recipeWith({ format: "dense" }), rowAt("denseDtype"))).toBe(true);
  });
});

describe("a recipe without what has no effect", () => {
  it("is the same however its idle fields stand, and does the same", () => {
    const typed = changeRecipe(defaultRecipe, { type: "Q3_K_M", format: "gguf" });
    const other = changeRecipe(typed, { bits: 3, groupSize: 64, zeros: "real", quip: { seed: 5 }, denseDtype: "f32" });
    expect(withoutIdle(other)).toEqual(typed);
    expect(flagsText(withoutIdle(other))).toBe(flagsText(other));
    expect(withoutIdle(changeRecipe(defaultRecipe, { bits: 3 }))).toEqual(changeRecipe(defaultRecipe, { bits: 3 }));
  });
});

describe("options of the command line", () => {
  const set = (flags: Parameters<typeof withCheckedFlags>[1], recipe: Recipe = defaultRecipe) => withCheckedFlags(recipe, flags);

  it("keep the names that they had in 0.1", () => {
    const values =
      "method bits group-size alpha alpha-choice held-out rotation-seed rule qep-damp damp quip-seed gptaq-alpha blocks windows window-length seed format";
    const switches = "sym rotate act-order mse live-groups";
    const named = (type: string) => Object.keys(recipeOptions).filter((name) => recipeOptions[name].type === type);
    expect(named("string")).toEqual(expect.arrayContaining(values.split(" ")));
    expect(named("boolean")).toEqual(expect.arrayContaining(switches.split(" ")));
  });

  it("change what they name and nothing else", () => {
    expect(set({})).toEqual(defaultRecipe);
    const gptq = { damp: 0.5, groupGrids: "live", mse: false } as const;
    expect(set({ damp: "0.5", "live-groups": true, mse: false })).toEqual(changeRecipe(defaultRecipe, { gptq }));
    expect(set({ rule: ["o_proj: bits=8"] }, recipeWith({ rules: [{ match: "*", alpha: 0 }] })).rules).toEqual([
      { match: "*", alpha: 0 },
      { match: "o_proj", bits: 8 },
    ]);
  });

  it("leave open what may be left open by its word, a number that a recipe has too", () => {
    const given = recipeWith({ rotation: 3, calibration: { ...recipeWith().calibration, windows: 4 } }, { damp: 0.5 });
    const open = set({ "rotation-seed": "off", windows: "all", "qep-damp": "auto" }, given) as Recipe;
    expect([open.rotation, open.calibration.windows, open.qep.damp]).toEqual([null, null, null]);
  });

  it("rotate: with the recipe's seed, or the one that is given", () => {
    expect(set({ rotate: true }).rotation).toBe(0);
    expect(set({ rotate: true }, recipeWith({ rotation: 7 })).rotation).toBe(7);
    expect(set({ "rotation-seed": "3" }).rotation).toBe(3);
  });

  it.each([
    [{ bits: "four" }, '--bits is "four", which is not a number'],
    [{ damp: "" }, '--damp is "", which is not a number or "auto"'],
    [{ windows: "auto" }, '--windows is "auto", which is not a number or "all"'],
    [{ rule: ["o_proj"] }, "--rule: “o_proj” is not of the form"],
  ])("%j is refused", (flags, words) => {
    expect(() => set(flags)).toThrow(words);
  });
});
