/** A run as the command line that does the same. */
import { flagsOf } from "../recipe/flags";
import type { Recipe } from "../recipe/recipe";
import type { TextChoice } from "../store/texts";

export function commandOf(recipe: Recipe, text: TextChoice): string {
  const options = flagsOf(recipe).map(([flag, value]) => {
    if (value === undefined) return `--${flag}`;
    // Joined, so that a pattern like "-x" is not taken for an option.
    return `--${flag}${/^-\D/.test(value) ? "=" : " "}${quoted(value)}`;
  });
  return ["qep-studio quantize MODEL_DIR --out DIR", `--calibration ${fileOf(text)}`, ...options].join(" ");
}

function fileOf(text: TextChoice): string {
  if (text.kind === "demo") return "public/demo/calibration.jsonl";
  return text.kind === "file" && text.file ? quoted(text.file.name.replace(/^-/, "./-")) : "CALIBRATION.txt";
}

/** As one word of a POSIX shell, whatever is in it. */
function quoted(word: string): string {
  return /^[\w./=:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
