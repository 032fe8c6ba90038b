import { parseArgs } from "node:util";
import { describe, expect, it } from "vitest";
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { defaultRecipe, type Recipe } from "../../src/recipe/recipe";
import { demoText, type TextChoice } from "../../src/store/texts";
import { commandOf } from "../../src/ui/command";

/** A POSIX shell's words: quotes off, nothing else is special in what we write. */
const words = (line: string) =>
  [...line.matchAll(/(?:'[^']*'|\\'|[^\s'\\]+)+/g)].map(([w]) => w.replace(/'([^']*)'|\\'/g, (_, inner) => inner ?? "'"));

async function readBack(recipe: Recipe, text: TextChoice = demoText) {
  const all = words(commandOf(recipe, text));
  const args = all.slice(4);
  expect(all.slice(0, 4)).toEqual(["npx", "--no-install", "qep-studio", "quantize"]);
  expect(() => parseArgs({ args: [], options: quantizeOptions })).not.toThrow();
  const { folder, options } = parseCommandLine(args, quantizeOptions);
  expect(folder).toBe("MODEL_DIR");
  return { recipe: await recipeOf(options), calibration: options.calibration };
}

const recipes: [string, Recipe][] = [
  ["the defaults", defaultRecipe],
  ["a base run", { ...defaultRecipe, bits: 3, qep: { ...defaultRecipe.qep, alpha: 0 } }],
  [
    "everything of RTN",
    {
      ...defaultRecipe,
      bits: 2,
      groupSize: 64,
      symmetric: true,
      method: "rtn",
      qep: { alpha: 0.35, downProj: true, damp: 1e-7, choice: "best", heldOut: 2 },
      gptq: { ...defaultRecipe.gptq, actOrder: true, damp: 0.05 },
      rules: [
        { match: "down_proj", alpha: 0.25 },
        { match: "-x*", bits: 8 },
        { match: "layers.0.*", method: "gptq", bits: 8, groupSize: 32 },
      ],
      calibration: { windows: 4, windowLength: 64, seed: 7 },
      blocks: 3,
    },
  ],
  ["QuIP", { ...defaultRecipe, method: "quip", quip: { seed: 3 }, gptq: { ...defaultRecipe.gptq, damp: 0.05 } }],
  [
    "as in the paper",
    { ...defaultRecipe, qep: { ...defaultRecipe.qep, downProj: false }, gptq: { ...defaultRecipe.gptq, actOrder: false, mse: false } },
  ],
  ["for vLLM", { ...defaultRecipe, destination: "vllm", format: "compressed-tensors", symmetric: true }],
  ["for llama.cpp, in plain groups", { ...defaultRecipe, destination: "llama.cpp", format: "gguf", type: "none" }],
  ["GPTAQ", { ...defaultRecipe, method: "gptaq", gptaq: { alpha: 0.75 }, rotation: 0, gptq: { ...defaultRecipe.gptq, actOrder: true } }],
  [
    "everything of GPTQ",
    { ...defaultRecipe, method: "gptq", gptq: { damp: 0.1, actOrder: true, mse: true, groupGrids: "live" }, groupSize: 32, format: "gptq" },
  ],
];

describe("a run's command, read by the command line itself, is its recipe", () => {
  it.each(recipes)("%s", async (_, recipe) => expect((await readBack(recipe)).recipe).toEqual(recipe));

  it.each(["my texts.txt", "it's.txt", "$(rm -rf ~).txt", "-rf.txt", "`a`;b&c|d.txt"])("with a file called %s", async (name) => {
    const { calibration } = await readBack(defaultRecipe, { kind: "file", file: new File(["x"], name), pasted: "" });
    expect(calibration).toBe(name.startsWith("-") ? `./${name}` : name);
  });
});
