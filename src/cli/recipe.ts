import { givenAs } from "../errors";
import { readJson } from "../io/json";
import { diskSourceFile } from "../io/node";
import type { LayerRule, Recipe } from "../recipe/recipe";
import { ruleOf } from "../recipe/rules";
import { parseRecipe } from "../recipe/schema";
import { numberOf, wrong } from "./args";

export interface RecipeFlags {
  recipe?: string;
  method?: string;
  bits?: string;
  "group-size"?: string;
  sym?: boolean;
  alpha?: string;
  "alpha-choice"?: string;
  "held-out"?: string;
  rule?: string[];
  rotate?: boolean;
  "rotation-seed"?: string;
  "qep-damp"?: string;
  damp?: string;
  "act-order"?: boolean;
  mse?: boolean;
  "live-groups"?: boolean;
  "quip-seed"?: string;
  "gptaq-alpha"?: string;
  blocks?: string;
  windows?: string;
  "window-length"?: string;
  seed?: string;
  format?: string;
}

/** The recipe file, if one is given, with the flags on top. @throws QuantError bad-argument, bad-recipe, bad-json. */
export async function recipeOf(flags: RecipeFlags): Promise<Recipe> {
  const { recipe: path } = flags;
  const base = parseRecipe(path ? await givenAs("recipe", async () => readJson(await diskSourceFile(path), 2 ** 20)) : {});
  const number = (flag: keyof RecipeFlags & string, fallback: number | null) => {
    const text = flags[flag];
    return typeof text === "string" ? numberOf(flag, text) : fallback;
  };
  return parseRecipe({
    ...base,
    method: flags.method ?? base.method,
    bits: number("bits", base.bits),
    groupSize: number("group-size", base.groupSize),
    symmetric: flags.sym ?? base.symmetric,
    qep: {
      alpha: number("alpha", base.qep.alpha),
      damp: number("qep-damp", base.qep.damp),
      choice: flags["alpha-choice"] ?? base.qep.choice,
      heldOut: number("held-out", base.qep.heldOut),
    },
    rules: [...base.rules, ...(flags.rule ?? []).map(ruleFrom)],
    rotation: flags.rotate || flags["rotation-seed"] ? number("rotation-seed", base.rotation ?? 0) : base.rotation,
    gptq: {
      damp: number("damp", base.gptq.damp),
      actOrder: flags["act-order"] ?? base.gptq.actOrder,
      mse: flags.mse ?? base.gptq.mse,
      groupGrids: flags["live-groups"] ? "live" : base.gptq.groupGrids,
    },
    quip: { seed: number("quip-seed", base.quip.seed) },
    gptaq: { alpha: number("gptaq-alpha", base.gptaq.alpha) },
    calibration: {
      windows: number("windows", base.calibration.windows),
      windowLength: number("window-length", base.calibration.windowLength),
      seed: number("seed", base.calibration.seed),
    },
    blocks: number("blocks", base.blocks),
    format: flags.format ?? base.format,
  });
}

function ruleFrom(text: string): LayerRule {
  const read = ruleOf(text);
  if ("fault" in read) throw wrong(`--rule: ${read.fault}`, 'Write it as "down_proj: bits=8 group=32 method=gptq alpha=0.25".');
  return read.rule;
}
