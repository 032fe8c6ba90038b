import type { Recipe } from "../recipe/recipe";

/** A run that did not come to its end, or was not exported, and that can be taken up where it stopped. */
export interface InterruptedRun {
  id: string;
  recipe: Recipe;
  /** What it is calibrated on: the name of the text, and what is the same for the same windows. null: nothing is. */
  text: { label: string; digest: string } | null;
  /** Blocks that are done, of how many. */
  done: number;
  blocks: number;
}
