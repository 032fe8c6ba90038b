import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import { createStore } from "zustand/vanilla";
import { changeRecipe, isUsed } from "../../src/recipe/access";
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
  const everything = { rules, rotation: 0, qep: { choice: "best" } } as const;
  const seen = new Set<string>();
  // A type is offered where the format is GGUF, and settles other fields.
  for (const change of [
    everything,
    { rotation: 0, destination: "web", format: "onnx" },
    { ...everything, format: "gguf" },
    { ...everything, format: "gguf", type: "Q4_K" },
  ] as const) {
    const all = labels(change);
    const recipe = changeRecipe(defaultRecipe, change);
    const used = rows.filter((row) => isUsed(recipe, row) && (row.path !== "type" || recipe.format === "gguf"));
    for (const { field, path } of used) {
      const same = used.filter((row) => row.field.label === field.label).length;
      expect(
        all.filter((label) => label === field.label),
        path,
      ).toHaveLength(same);
      seen.add(path);
    }
  }
  expect([...seen].sort()).toEqual(rows.map(({ path }) => path).sort());
});

it("a method's options stand under the first method that uses them, the recipe's own first", () => {
  const after = (legend: string, change: RecipeChange) => labels(change).slice(labels(change).indexOf(legend) + 1);
  expect(labels({ method: "rtn" })).not.toContain("Damping");
  const change: RecipeChange = { method: "gptaq", rules: [{ match: "o_proj", method: "quip" }] };
  expect(after("GPTAQ", change).slice(0, 1)).toEqual(["Damping"]);
  expect(after("QuIP", change).slice(0, 1)).toEqual(["Rotation seed"]);
  expect(after("QuIP", { method: "quip" }).slice(0, 2)).toEqual(["Damping", "Rotation seed"]);
});
