/** What our own recipe.json says of the run that wrote a folder. */
import { asQuantError } from "../errors";
import { readJson } from "../io/json";
import { findFile } from "../io/source";
import type { Source } from "../io/types";
import { methodsOf } from "../recipe/access";
import { isBase, type Recipe } from "../recipe/recipe";
import { readRecipe } from "../recipe/schema";

export const recipeName = "recipe.json";

/** The recipe in a folder; null where there is none that is ours. @throws QuantError what reading throws, but for `bad-json`. */
export async function recipeIn(source: Source): Promise<Recipe | null> {
  const file = findFile(source, recipeName);
  if (!file) return null;
  try {
    const read = readRecipe(await readJson(file, 2 ** 20));
    return "fault" in read ? null : read;
  } catch (cause) {
    if (asQuantError(cause).code === "bad-json") return null;
    throw cause;
  }
}

/** What a run can have done to layers that moves them away from the original's, though the file is sound. */
export interface Moves {
  /** AWQ scales layers, and the norm or layer before them the other way. */
  readonly scales: boolean;
  /** QEP corrects layers for the errors before them: with α 1 and few bits by nearly as much as they weigh. */
  readonly corrects: boolean;
}

/** What is taken for possible where nothing vouches for a file: a scale, as others' tools make them; no correction, which would excuse a broken file. */
export const unknownMoves: Moves = { scales: true, corrects: false };

/** Of files that are, byte for byte, what a run of this recipe wrote. */
export const movesOf = (recipe: Recipe): Moves => ({ scales: methodsOf(recipe).includes("awq"), corrects: !isBase(recipe) });
