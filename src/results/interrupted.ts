import type { Recipe } from "../recipe/recipe";

/** A run that was not finished, or not exported, and can be resumed where it stopped. */
export interface InterruptedRun {
  id: string;
  recipe: Recipe;
  /** The calibration text's name, and a digest of the windows taken from it; null where nothing is calibrated. */
  text: { label: string; digest: string } | null;
  /** Blocks that are done, out of `blocks`. */
  done: number;
  blocks: number;
}
