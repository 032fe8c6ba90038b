/** Named settings of method and QEP. A recipe does not hold its preset's name: what it sets tells which one it is. */
import { changeRecipe } from "./access";
import type { Recipe, RecipeChange } from "./recipe";

interface Preset {
  readonly title: string;
  /** One sentence for the page and `--help`. */
  readonly help: string;
  readonly sets: RecipeChange;
}

/** Auto, for each layer. The authors' 0.01 is right where calibration tokens are many times a layer's inputs, which they seldom are in use. */
const damp = null;
const half = { alpha: 0.5, damp, choice: "given" } as const;

const named = {
  quick: {
    title: "Quick",
    help: "RTN with QEP: no feedback between a layer’s columns, so it is done soonest.",
    sets: { method: "rtn", qep: { ...half, downProj: true } },
  },
  good: {
    title: "Good",
    help: "GPTQ with QEP, columns in act-order and searched scales: the least error at most bit widths.",
    sets: { method: "gptq", qep: { ...half, downProj: true }, gptq: { damp, actOrder: true, mse: true, groupGrids: "block" } },
  },
  paper: {
    title: "As in the paper",
    help: "The settings of the authors’ code: GPTQ with QEP as it comes, down_proj not corrected.",
    sets: {
      method: "gptq",
      qep: { ...half, damp: 0.01, downProj: false },
      gptq: { damp: 0.01, actOrder: false, mse: false, groupGrids: "block" },
    },
  },
} satisfies Record<string, Preset>;

export type PresetId = keyof typeof named;
export const presets: Readonly<Record<PresetId, Preset>> = named;
export const presetIds = Object.keys(presets) as PresetId[];

/** The preset whose settings a recipe has; null: its own. */
export const presetOf = (recipe: Recipe): PresetId | null =>
  presetIds.find((id) => JSON.stringify(changeRecipe(recipe, presets[id].sets)) === JSON.stringify(recipe)) ?? null;
