import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { createStore } from "zustand/vanilla";
import { changeRecipe } from "../../src/recipe/access";
import { methodIds } from "../../src/recipe/methods";
import { defaultRecipe, type RecipeChange } from "../../src/recipe/recipe";
import { rows } from "../../src/recipe/rows";
import { initialState } from "../../src/store/state";
import type { Studio } from "../../src/store/studio";
import { RecipePanel } from "../../src/ui/recipe/RecipePanel";
import { StudioContext } from "../../src/ui/studio";

/** The labels and legends of the recipe panel. */
function labels(change: RecipeChange): string[] {
  const store = createStore(() => ({ ...initialState, recipe: changeRecipe(defaultRecipe, change) }));
  const page = renderToStaticMarkup(createElement(StudioContext.Provider, { value: { store } as Studio }, createElement(RecipePanel)));
  return [...page.matchAll(/<(?:label|legend)[^>]*>(?:<input[^>]*>)?([^<]+)</g)].map(([, label]) => label);
}

it("every field that has an effect stands on the page once", () => {
  const rules = methodIds.map((method) => ({ match: "o_proj", method }));
  const all = labels({ rules, rotation: 0, qep: { choice: "best" } });
  for (const { field, path } of rows) {
    const same = rows.filter((row) => row.field.label === field.label).length;
    expect(
      all.filter((label) => label === field.label),
      path,
    ).toHaveLength(same);
  }
});

it("a method's options stand under the first method that uses them, the recipe's own first", () => {
  const after = (legend: string, change: RecipeChange) => labels(change).slice(labels(change).indexOf(legend) + 1);
  expect(labels({})).not.toContain("Damping");
  const change: RecipeChange = { method: "gptaq", rules: [{ match: "o_proj", method: "quip" }] };
  expect(after("GPTAQ", change).slice(0, 1)).toEqual(["Damping"]);
  expect(after("QuIP", change).slice(0, 1)).toEqual(["Rotation seed"]);
  expect(after("QuIP", { method: "quip" }).slice(0, 2)).toEqual(["Damping", "Rotation seed"]);
});
