/** A run as the command line that does the same (flags as in src/cli/args.ts). */
import { defaultRecipe, type MethodId, needsHeldOut, type Recipe } from "../recipe/recipe";
import { ruleText } from "../recipe/rules";
import type { TextChoice } from "../store/texts";

const same = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b);

/** Methods that the recipe's gptq part is for. */
const family: readonly string[] = ["gptq", "gptaq"];
export const takesGptq = (recipe: Recipe): boolean => methodsOf(recipe).some((method) => family.includes(method));

/** The recipe's method, and those that its rules name. */
export const methodsOf = ({ method, rules }: Recipe): MethodId[] => [method, ...rules.flatMap((rule) => rule.method ?? [])];

export function commandOf(recipe: Recipe, text: TextChoice): string {
  const { qep, gptq, calibration } = recipe;
  const words = ["qep-studio quantize MODEL_DIR --out DIR", `--method ${recipe.method}`, `--bits ${recipe.bits}`];
  words.push(`--group-size ${recipe.groupSize}`);
  if (recipe.symmetric) words.push("--sym");
  // Without flags of their own; the run's recipe.json has them.
  if (!same(recipe.quip, defaultRecipe.quip) || !same(recipe.gptaq, defaultRecipe.gptaq)) words.push("--recipe recipe.json");
  if (takesGptq(recipe) || methodsOf(recipe).includes("quip")) words.push(`--damp ${gptq.damp}`);
  if (takesGptq(recipe)) {
    if (gptq.actOrder) words.push("--act-order");
    if (gptq.mse) words.push("--mse");
    if (gptq.groupGrids === "live") words.push("--live-groups");
  }
  words.push(`--alpha ${qep.alpha}`);
  if (needsHeldOut(recipe)) words.push(`--alpha-choice ${qep.choice} --held-out ${qep.heldOut}`);
  if (recipe.rotation !== null) words.push(`--rotate --rotation-seed ${recipe.rotation}`);
  for (const rule of recipe.rules) words.push(`--rule ${quoted(ruleText(rule))}`);
  words.push(`--qep-damp ${qep.damp}`);
  if (recipe.blocks !== null) words.push(`--blocks ${recipe.blocks}`);
  words.push(`--calibration ${fileOf(text)}`);
  if (calibration.windows !== null) words.push(`--windows ${calibration.windows}`);
  words.push(`--window-length ${calibration.windowLength}`);
  if (calibration.seed !== defaultRecipe.calibration.seed) words.push(`--seed ${calibration.seed}`);
  if (recipe.format !== defaultRecipe.format) words.push(`--format ${recipe.format}`);
  return words.join(" ");
}

function fileOf(text: TextChoice): string {
  if (text.kind === "demo") return "public/demo/calibration.jsonl";
  return text.kind === "file" && text.file ? quoted(text.file.name) : "CALIBRATION.txt";
}

/** As one word of a POSIX shell, whatever the file is called. */
function quoted(word: string): string {
  const plain = word.replace(/^-/, "./-");
  return /^[\w./=:@%+-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}
