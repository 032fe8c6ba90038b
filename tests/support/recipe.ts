import { defaultRecipe, type Recipe } from "../../src/recipe/recipe";

/** The default recipe with some fields changed. */
export const recipeWith = (change: Partial<Recipe> = {}, qep: Partial<Recipe["qep"]> = {}): Recipe => ({
  ...defaultRecipe,
  ...change,
  qep: { ...defaultRecipe.qep, ...qep },
});
