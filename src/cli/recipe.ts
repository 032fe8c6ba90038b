import { givenAs } from "../errors";
import { readJson } from "../io/json";
import { diskSourceFile } from "../io/node";
import { changeRecipe } from "../recipe/access";
import { type Flags, idleFlags, withCheckedFlags } from "../recipe/flags";
import { type PresetId, presetIds, presets } from "../recipe/presets";
import type { Recipe } from "../recipe/recipe";
import { parseRecipe } from "../recipe/schema";
import { suited } from "../recipe/suiting";
import { inputWidths, type ModelSummary } from "../results/model";
import { wrong } from "./args";

type Given = Flags & { recipe?: string; preset?: string };

/**
 * The recipe file, if one is given; on top of it the preset, then what the place named by --for wants, then the single options.
 * @param model null: it is not open yet.
 * @throws QuantError bad-argument, bad-recipe, bad-json.
 */
export async function recipeOf(flags: Given, model: ModelSummary | null = null): Promise<Recipe> {
  const { recipe: path, preset } = flags;
  const base = parseRecipe(path ? await givenAs("recipe", async () => readJson(await diskSourceFile(path), 2 ** 20)) : {});
  const chosen = preset === undefined ? base : changeRecipe(base, presets[presetNamed(preset)].sets);
  const asked = withCheckedFlags(chosen, flags);
  if (flags.for === undefined) return withCheckedGrid(asked, flags);
  // Bits decide which type a place is given; the other options may change what the place sets.
  const fitting = suited({ ...chosen, bits: asked.bits }, asked.destination, model ? inputWidths(model) : []);
  return withCheckedGrid(withCheckedFlags(fitting, flags), flags);
}

/** The recipe as it is. @throws QuantError bad-argument for a grid's option beside a type: what was asked for would not be what is made. */
function withCheckedGrid(recipe: Recipe, flags: Given): Recipe {
  const idle = idleFlags(recipe, flags).find(({ field }) => field.onlyIf?.path === "type");
  if (idle)
    throw wrong(
      `--${idle.field.flag} has no effect beside the type ${recipe.type}, which settles bits, groups and zero points`,
      "Leave it out, or give --type none.",
    );
  return recipe;
}

function presetNamed(name: string): PresetId {
  const id = presetIds.find((known) => known === name);
  if (!id) throw wrong(`--preset is "${name}"`, `Name one of ${presetIds.join(", ")}.`);
  return id;
}
