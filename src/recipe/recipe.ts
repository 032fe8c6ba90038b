/** What to do, as plain data. The same recipe, checkpoint, text and adapter reproduce a run byte for byte. */
import { type Fields, fields } from "./fields";
import { methodSections, methods } from "./methods";
import { type RecipeRow, rows, shaped, usersOf } from "./rows";

export { type FormatId, formatIds, formatTitles } from "./formats";
export { type MethodId, methodIds, methodTitles } from "./methods";

type Value<F> = F extends { kind: "rules" } ? LayerRule[] : F extends { default: infer D } ? D : { [K in keyof F]: Value<F[K]> };

/** The fields of the table (fields.ts), with their values. */
export type Recipe = { version: 2 } & { -readonly [K in keyof Fields]: Value<Fields[K]> };

/** The sections of a recipe: "qep", "calibration", and one for each method that has options. */
export type Section = { [K in keyof Fields]: Fields[K] extends { kind: string } ? never : K }[keyof Fields];

/** The place of a field: "bits", "qep.alpha". */
export type Path =
  | Exclude<keyof Fields, Section>
  | { [S in Section]: { [K in keyof Fields[S]]: `${S}.${K & string}` }[keyof Fields[S]] }[Section];

type FieldAt<P> = P extends keyof Fields
  ? Fields[P]
  : P extends `${infer S extends Section}.${infer K}`
    ? K extends keyof Fields[S]
      ? Fields[S][K]
      : never
    : never;
type LastName<P> = P extends `${string}.${infer K}` ? K : P;
type RulePath = { [P in Path]: [NonNullable<(FieldAt<P> & { rule?: string })["rule"]>] extends [never] ? never : P }[Path];

/** What differs for some layers. Of the rules that match a layer, a later one beats an earlier one, field by field. */
export type LayerRule = {
  /** The end of a layer's name, starting after a dot; `*` stands for anything: `down_proj`, `layers.0.*`, `mlp.*_proj`. */
  match: string;
} & { [P in RulePath as LastName<P> & string]?: Value<FieldAt<P>> };

/** Some of a recipe's fields. */
export type RecipeChange = { [K in keyof Recipe]?: K extends Section ? Partial<Recipe[K]> : Recipe[K] };

export type Bits = Recipe["bits"];
export const bitWidths = fields.bits.choices;
export type GroupSize = Recipe["groupSize"];
export const groupSizes = fields.groupSize.choices;
/**
 * How each layer's α is decided. "given": as in the recipe. "guarded": as in the recipe, but 0 where that makes the layer's error on held-out windows
 * larger. "best": the α in [0, 1] for which that error is least.
 */
export type AlphaChoice = Recipe["qep"]["choice"];
export const layerKinds = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type LayerKind = (typeof layerKinds)[number];

/** The options that belong to single methods. */
export type MethodOptions = Pick<Recipe, keyof typeof methodSections>;

export const methodOptions = (recipe: Recipe): MethodOptions =>
  Object.fromEntries(Object.keys(methodSections).map((id) => [id, recipe[id as keyof MethodOptions]])) as MethodOptions;

/** Every field at its default. */
export const defaultRecipe = { version: 2, ...shaped(({ field }) => field.default) } as Recipe;

/** The value of a field. */
export function fieldValue(recipe: Recipe, { section, key }: RecipeRow): unknown {
  const part = section ? recipe[section as Section] : recipe;
  return (part as Record<string, unknown>)[key];
}

/** True when windows are kept out of H and C to choose α on. `baseOf` keeps out the same ones, so that both runs are calibrated on the same windows. */
export const needsHeldOut = ({ qep }: Recipe): boolean => qep.choice !== "given";

/** True when no layer would be corrected: a run of the base method. */
export function isBase({ qep, rules }: Recipe): boolean {
  return qep.alpha === 0 && qep.choice !== "best" && rules.every((r) => !r.alpha);
}

/** The same recipe without QEP, on the same windows: the base that a QEP run is compared with. */
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
  const tags = tagsOf(recipe).map((tag) => ` ${tag}`);
  const grid = recipe.type === "none" ? `${recipe.bits}-bit${group}` : recipe.type;
  return `${methods[recipe.method].name}${recipe.rotation === null ? "" : " rotated"} ${grid}${tags.join("")}${qep}${rules}${blocks}`;
}

/** How α is set, in a word: "0.5", "0.5 guarded", "per layer". */
export function alphaTitle({ qep }: Recipe): string {
  if (qep.choice === "best") return "per layer";
  return qep.choice === "guarded" ? `${qep.alpha} guarded` : String(qep.alpha);
}

/** The tags of the fields that are switched on, among the recipe's own and its method's options. */
function tagsOf(recipe: Recipe): string[] {
  const used = rows.filter(
    (row) => (row.path !== "symmetric" || recipe.type === "none") && (usersOf(row)?.includes(recipe.method) ?? true),
  );
  return used.flatMap((row) => (row.field.tag && fieldValue(recipe, row) === true ? [row.field.tag] : []));
}
