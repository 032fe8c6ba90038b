/** The command line that does what a run did, from a checkout: the package is on no registry, from which npx would otherwise take somebody's of this name. */
import { flagsText, shellWord } from "../recipe/flags";
import type { Recipe } from "../recipe/recipe";
import type { TextChoice } from "../store/texts";

export const commandOf = (recipe: Recipe, text: TextChoice): string =>
  `npx --no-install qep-studio quantize MODEL_DIR --out DIR --calibration ${fileOf(text)} ${flagsText(recipe)}`;

function fileOf(text: TextChoice): string {
  if (text.kind === "demo") return "public/demo/calibration.jsonl";
  return text.kind === "file" && text.file ? shellWord(text.file.name.replace(/^-/, "./-")) : "CALIBRATION.txt";
}
