import { givenAs } from "../errors";
import { readJson } from "../io/json";
import { diskSourceFile } from "../io/node";
import { type Flags, withFlags } from "../recipe/flags";
import type { Recipe } from "../recipe/recipe";
import { parseRecipe } from "../recipe/schema";

/** The recipe file, if one is given, with the flags on top. @throws QuantError bad-argument, bad-recipe, bad-json. */
export async function recipeOf(flags: Flags & { recipe?: string }): Promise<Recipe> {
  const { recipe: path } = flags;
  const base = parseRecipe(path ? await givenAs("recipe", async () => readJson(await diskSourceFile(path), 2 ** 20)) : {});
  return parseRecipe(withFlags(base, flags));
}
