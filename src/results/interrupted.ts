import type { Recipe } from "../recipe/recipe";

/** A run that did not come to its end, or was not exported, and that can be taken up where it stopped. */
export interface InterruptedRun {
  id: string;
  recipe: Recipe;
  /** Name of the text that it is calibrated on; null where nothing is. */
  text: string | null;
  /** Blocks that are done, of how many. */
  done: number;
  blocks: number;
}
