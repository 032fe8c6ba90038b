/** What to do, as plain data. A recipe, a seed and an adapter reproduce a run byte for byte. */

export const methodIds = ["rtn", "gptq", "awq", "quip", "gptaq"] as const;
export type MethodId = (typeof methodIds)[number];
export const bitWidths = [2, 3, 4, 8] as const;
export type Bits = (typeof bitWidths)[number];
export const groupSizes = [-1, 32, 64, 128] as const;
export type GroupSize = (typeof groupSizes)[number];
export const formatIds = ["dense", "gptq"] as const;
export type FormatId = (typeof formatIds)[number];
export const layerKinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type LayerKind = (typeof layerKinds)[number];

/** Labels for people. */
export const methodTitles: Record<MethodId, string> = {
  rtn: "RTN (round to nearest)",
  gptq: "GPTQ (error feedback)",
  awq: "AWQ (scaled by activations)",
  quip: "QuIP (rotated, dense only)",
  gptaq: "GPTAQ (GPTQ against upstream errors)",
};
export const formatTitles: Record<FormatId, string> = { dense: "Dense f16 (loads where the original does)", gptq: "GPTQ (packed)" };

export const alphaChoices = ["given", "guarded", "best"] as const;
/**
 * Who decides α: the recipe alone; the recipe, but 0 where a layer's error on held-out windows is larger with it; or those windows, which
 * tell each layer's best α in [0, 1].
 */
export type AlphaChoice = (typeof alphaChoices)[number];

/** What differs for some layers. Of the rules that match a layer, a later one beats an earlier one, field by field. */
export interface LayerRule {
  /** The end of a layer's name, from a dot on; `*` is anything: `down_proj`, `layers.0.*`, `mlp.*_proj`. */
  match: string;
  method?: MethodId;
  bits?: Bits;
  groupSize?: GroupSize;
  /** Propagation strength α of these layers, whatever the recipe's choice of α is. */
  alpha?: number;
}

export interface Recipe {
  version: 1;
  method: MethodId;
  bits: Bits;
  /** Input columns that share one scale; −1: the whole row. */
  groupSize: GroupSize;
  symmetric: boolean;
  qep: {
    /** Propagation strength α in W*(α) = W + α·W·C·(H + λI)⁻¹; 0 is the base method. `down_proj` has 0 unless a rule names it. */
    alpha: number;
    /** λ = damp · mean(diag H). */
    damp: number;
    choice: AlphaChoice;
    /** Windows of the calibration text kept out of H and C, for a choice that needs them. */
    heldOut: number;
  };
  /** What differs for some layers. */
  rules: LayerRule[];
  /** Seed of a fused rotation (QuaRot) of the model before anything else, which spreads outliers and needs nothing at run time; null: none. */
  rotation: number | null;
  /** Used by GPTQ and GPTAQ; QuIP takes its damping. */
  gptq: {
    /** Added to the Hessian's diagonal: this fraction of its mean. */
    damp: number;
    /** Visit columns by descending Hessian diagonal; groups stay where they are (static groups), so every client loads the result. */
    actOrder: boolean;
    /** Search each grid's range for the least error. */
    mse: boolean;
    /** Take a group's grid from the weights as they stood at the start of its 128-column block, or live, when its first column is reached. */
    groupGrids: "block" | "live";
  };
  /** Used by QuIP: draws its rotations. */
  quip: { seed: number };
  /** Used by GPTAQ: how much of the upstream error each layer answers, 0…1. */
  gptaq: { alpha: number };
  calibration: {
    /** How many windows the seed picks; null: all of them in order. */
    windows: number | null;
    /** Tokens of one window. */
    windowLength: number;
    seed: number;
  };
  /** Quantize only the first n blocks; null: all. */
  blocks: number | null;
  format: FormatId;
}

/** The options that belong to single methods. */
export type MethodOptions = Pick<Recipe, "gptq" | "quip" | "gptaq">;

export const defaultRecipe: Recipe = {
  version: 1,
  method: "rtn",
  bits: 4,
  groupSize: -1,
  symmetric: false,
  qep: { alpha: 0.5, damp: 0.01, choice: "given", heldOut: 4 },
  rules: [],
  rotation: null,
  gptq: { damp: 0.01, actOrder: false, mse: false, groupGrids: "block" },
  quip: { seed: 0 },
  gptaq: { alpha: 0.25 },
  calibration: { windows: null, windowLength: 256, seed: 0 },
  blocks: null,
  format: "dense",
};

/** True when windows are kept out of H and C, for a choice of α; a base run keeps out the same, so that both see the same windows. */
export const needsHeldOut = ({ qep }: Recipe): boolean => qep.choice !== "given";

/** True when no layer would be corrected: a run of the base method. */
export function isBase({ qep, rules }: Recipe): boolean {
  return qep.alpha === 0 && qep.choice !== "best" && rules.every((r) => !r.alpha);
}

/** Same recipe without QEP, on the same windows: the base that a QEP run is compared with. */
export function baseOf(recipe: Recipe): Recipe {
  const rules = recipe.rules.map(({ alpha: _, ...rule }) => rule).filter((rule) => Object.keys(rule).length > 1);
  return { ...recipe, qep: { ...recipe.qep, alpha: 0, choice: needsHeldOut(recipe) ? "guarded" : "given" }, rules };
}

/** One line for a legend or a table: "RTN 3-bit g64 sym + QEP α 0.5". */
export function recipeTitle(recipe: Recipe): string {
  const group = recipe.groupSize === -1 ? "" : ` g${recipe.groupSize}`;
  const blocks = recipe.blocks === null ? "" : ` first ${recipe.blocks} blocks`;
  const qep = isBase(recipe) ? "" : ` + QEP α ${alphaTitle(recipe)}`;
  const rules = recipe.rules.length ? ` + ${recipe.rules.length} ${recipe.rules.length === 1 ? "rule" : "rules"}` : "";
  const { actOrder, mse } = recipe.gptq;
  const options = recipe.method === "gptq" || recipe.method === "gptaq" ? `${actOrder ? " act-order" : ""}${mse ? " mse" : ""}` : "";
  return `${recipe.method.toUpperCase()}${recipe.rotation === null ? "" : " rotated"} ${recipe.bits}-bit${group}${recipe.symmetric ? " sym" : ""}${options}${qep}${rules}${blocks}`;
}

/** How α is set, in a word: "0.5", "0.5 guarded", "per layer". */
export function alphaTitle({ qep }: Recipe): string {
  if (qep.choice === "best") return "per layer";
  return qep.choice === "guarded" ? `${qep.alpha} guarded` : String(qep.alpha);
}
