import { changeRecipe } from "../../src/recipe/access";
import type { Recipe, RecipeChange } from "../../src/recipe/recipe";
import { parseRecipe } from "../../src/recipe/schema";

/** RTN with QEP of ½, no act-order, no searched scales, damping 0.01, down_proj as it is: what oracle and kernels' tests start from. */
export const plainRecipe: Recipe = parseRecipe({ version: 1 });

/** The plain recipe with some fields changed. */
export const recipeWith = (change: RecipeChange = {}, qep: Partial<Recipe["qep"]> = {}): Recipe =>
  changeRecipe(changeRecipe(plainRecipe, change), { qep });
