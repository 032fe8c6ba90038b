/** A recipe as options of the command line: which there are, what they set, and how a recipe is written with them. */
import { QuantError } from "../errors";
import { changeOf, isUsed, merge } from "./access";
import { knownRuntime } from "./destinations";
import { type Field, isNumeric, valueFrom } from "./field";
import { fieldValue, type LayerRule, type Recipe } from "./recipe";
import { type RecipeRow, rows } from "./rows";
import { ruleOf, ruleText } from "./rules";
import { parseRecipe, readRecipe } from "./schema";

type FlagOption = { type: "string"; multiple?: true } | { type: "boolean" };

/** The value that a switch, an option without a value, sets; undefined: the option takes a value. */
const switchedTo = (field: Field): unknown => (field.kind === "yes-no" ? true : field.kind === "choice" ? field.switch : undefined);

function optionsOf({ field }: RecipeRow): [string, FlagOption][] {
  if (field.kind === "rules") return [[field.flag, { type: "string", multiple: true }]];
  const option: [string, FlagOption] = [field.flag, { type: switchedTo(field) === undefined ? "string" : "boolean" }];
  return field.kind === "optional" && field.switch ? [[field.switch.flag, { type: "boolean" }], option] : [option];
}

/** For Node's parseArgs. */
export const recipeOptions: Readonly<Record<string, FlagOption>> = Object.fromEntries(rows.flatMap(optionsOf));

/** Options as parseArgs reads them. */
export type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** The recipe with the options' values in it, not yet checked. @throws QuantError `bad-argument` for an option that cannot be read. */
function withFlags(recipe: Recipe, flags: Flags): Readonly<Record<string, unknown>> {
  return rows.reduce<Readonly<Record<string, unknown>>>((made, row) => {
    const value = row.field.kind === "rules" ? [...recipe.rules, ...rulesFrom(flags[row.field.flag])] : givenFor(row, recipe, flags);
    return value === undefined ? made : merge(made, changeOf(row, value));
  }, recipe);
}

/**
 * The recipe with the options' values in it.
 * @throws QuantError `bad-argument` for an option that cannot be read or sets what may not be, `bad-recipe` for what the recipe itself has.
 */
export function withCheckedFlags(recipe: Recipe, flags: Flags): Recipe {
  const changed = withFlags(recipe, flags);
  const read = readRecipe(changed);
  if (!("fault" in read)) return read;
  const option = optionAt(read.path, changed, flags);
  if (!option) return parseRecipe(changed);
  const { flag, text, within } = option;
  const known = flag === "for" ? knownRuntime(text) : null;
  throw wrong(`--${flag} is "${text}"; ${within || "it"} ${read.fault}`, known ?? "See qep-studio --help.");
}

/** The option that set the field at this path, and its words; null: none did. */
function optionAt(path: string, { rules }: { rules?: unknown }, flags: Flags): { flag: string; text: string; within?: string } | null {
  const [, index, within] = /^rules\.(\d+)(?:\.(.+))?$/.exec(path) ?? [];
  // An option's rules come after the recipe's own.
  const text = index === undefined ? flags[flagAt(path) ?? ""] : [flags.rule].flat().at(Number(index) - (rules as unknown[]).length);
  if (typeof text !== "string") return null;
  return { flag: index === undefined ? flagAt(path)! : "rule", text, within };
}

const flagAt = (path: string): string | undefined => rows.find((row) => row.path === path)?.field.flag;

function givenFor(row: RecipeRow, recipe: Recipe, flags: Flags): unknown {
  const { field } = row;
  const given = flags[field.flag];
  if (given === true) return switchedTo(field);
  if (given === false && field.kind === "yes-no") return false;
  if (typeof given === "string") {
    const value = valueFrom(field, given);
    if (isNumeric(field) && value !== null && !Number.isFinite(value))
      throw wrong(`--${field.flag} is "${given}", which is not a number${orWord(field)}`, "See qep-studio --help.");
    return value;
  }
  return field.kind === "optional" && field.switch && flags[field.switch.flag] ? (fieldValue(recipe, row) ?? field.min) : undefined;
}

const orWord = (field: Field): string => (field.kind === "optional" ? ` or "${field.none}"` : "");

/** The options among these that have no effect in this recipe, without their dashes. */
export const idleFlags = (recipe: Recipe, flags: Flags): RecipeRow[] =>
  rows.filter((row) => isGiven(row, flags) && !isUsed(recipe, row) && !isHeard(row, flags));

/** Options that are heard all the same: a place, though none is chosen, and bits that choose a place's type. */
const isHeard = ({ path }: RecipeRow, flags: Flags): boolean =>
  path === "destination" || (path === "bits" && flags.for !== undefined && flags.type === undefined);

function isGiven({ field }: RecipeRow, flags: Flags): boolean {
  const names = field.kind === "optional" && field.switch ? [field.flag, field.switch.flag] : [field.flag];
  return names.some((name) => flags[name] !== undefined);
}

const rulesFrom = (given: Flags[string]): LayerRule[] => (Array.isArray(given) ? given : []).map((text) => ruleFrom(String(text)));

function ruleFrom(text: string): LayerRule {
  const read = ruleOf(text);
  if ("fault" in read) throw wrong(`--rule: ${read.fault}`, 'Write it as "down_proj: bits=8 group=32 method=gptq alpha=0.25".');
  return read.rule;
}

const wrong = (what: string, hint: string) => new QuantError("bad-argument", what, hint);

/** Every field that has an effect in this recipe and is not left open, as an option and its value; without a value where the option takes none. */
function flagsOf(recipe: Recipe): [flag: string, value?: string][] {
  return rows.filter((row) => isUsed(recipe, row)).flatMap((row) => written(row.field, fieldValue(recipe, row)));
}

function written(field: Field, value: unknown): [string, string?][] {
  if (field.kind === "rules") return (value as LayerRule[]).map((rule) => [field.flag, ruleText(rule)]);
  if (field.kind === "yes-no" && value === false) return field.default ? [[`no-${field.flag}`]] : [];
  const switched = switchedTo(field);
  if (switched !== undefined) return value === switched ? [[field.flag]] : [];
  if (value === null) return [];
  const on: [string][] = field.kind === "optional" && field.switch ? [[field.switch.flag]] : [];
  return [...on, [field.flag, String(value)]];
}

/** The recipe as options on a POSIX shell's command line. */
export const flagsText = (recipe: Recipe): string =>
  flagsOf(recipe)
    .map(([flag, value]) => {
      if (value === undefined) return `--${flag}`;
      // Joined, so that a pattern like "-x" is not taken for an option.
      return `--${flag}${/^-\D/.test(value) ? "=" : " "}${shellWord(value)}`;
    })
    .join(" ");

/** A word quoted for a POSIX shell, if it needs quotes. */
export function shellWord(word: string): string {
  return /^[\w./=:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
