/** A recipe's fields by their rows in the table. */
import type { MethodId } from "./methods";
import { fieldValue, type Path, type Recipe, type RecipeChange } from "./recipe";
import { type RecipeRow, rows, sections, usersOf } from "./rows";

type Plain = Readonly<Record<string, unknown>>;

/** One recipe-like object with another's fields on top, section by section. */
export function merge(under: Plain, over: Plain): Plain {
  const merged = Object.fromEntries(sections.map((name) => [name, { ...(under[name] as Plain), ...(over[name] as Plain) }]));
  return { ...under, ...over, ...merged };
}

export const changeRecipe = (recipe: Recipe, change: RecipeChange): Recipe => merge(recipe, change) as Recipe;

/** A change of one field. */
export const changeOf = ({ section, key }: RecipeRow, value: unknown): RecipeChange =>
  section ? { [section]: { [key]: value } } : { [key]: value };

/** The row of the field at this path. */
export const rowAt = (path: Path): RecipeRow => rows.find((row) => row.path === path)!;

/** The recipe's method, and those that its rules name. */
export const methodsOf = ({ method, rules }: Recipe): MethodId[] => [method, ...rules.flatMap((rule) => rule.method ?? [])];

/** Whether a field has any effect in this recipe. */
export function isUsed(recipe: Recipe, row: RecipeRow): boolean {
  const { unless, onlyIf } = row.field;
  const holds = ({ path, is }: { path: string; is: string | boolean }) => fieldValue(recipe, rowAt(path as Path)) === is;
  if ((unless && holds(unless)) || (onlyIf && !holds(onlyIf))) return false;
  const users = usersOf(row);
  return users === null || methodsOf(recipe).some((method) => users.includes(method));
}

/** The recipe with every field that has no effect at its default: the same for all recipes that do the same. */
export const withoutIdle = (recipe: Recipe): Recipe =>
  rows.filter((row) => !isUsed(recipe, row)).reduce((made, row) => changeRecipe(made, changeOf(row, row.field.default)), recipe);
