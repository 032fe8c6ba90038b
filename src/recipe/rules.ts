import { valueFrom } from "./field";
import { fieldValue, type LayerRule, type Recipe } from "./recipe";
import { rows } from "./rows";

/** The fields that a rule can set. */
export const ruleRows = rows.filter(({ field }) => field.rule !== undefined);

/** The settings of one layer: those that a rule can change (`alpha` as recipe and rules give it), and those that are the same for all layers. */
export type LayerSettings = Required<Omit<LayerRule, "match">> & {
  symmetric: boolean;
  zeros: Recipe["zeros"];
  /** A rule names α for this layer, so that nothing else may choose it. */
  alphaFixed: boolean;
};

/** Whether a rule's pattern matches a layer's full name. No backtracking, so that no pattern is slow. */
export function matches(pattern: string, name: string): boolean {
  return glob(pattern, name) || glob(`*.${pattern}`, name);
}

function glob(pattern: string, text: string): boolean {
  const [head, ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === pattern;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** The settings of a layer: the recipe's, with its rules on top. Where `qep.downProj` is false, α of down_proj is 0 unless a rule names it. */
export function settingsOf(recipe: Recipe, name: string): LayerSettings {
  const { match: _, ...changed }: Partial<LayerRule> = Object.assign({}, ...recipe.rules.filter((r) => matches(r.match, name)));
  const common = Object.fromEntries(ruleRows.map((row) => [row.key, fieldValue(recipe, row)])) as Required<Omit<LayerRule, "match">>;
  const alpha = !recipe.qep.downProj && matches("down_proj", name) ? 0 : common.alpha;
  return { ...common, symmetric: recipe.symmetric, zeros: recipe.zeros, alpha, ...changed, alphaFixed: changed.alpha !== undefined };
}

/** α of one layer as the recipe gives it. */
export const alphaOf = (recipe: Recipe, name: string): number => settingsOf(recipe, name).alpha;

type Values = Record<string, unknown>;

/** "down_proj: bits=8 group=32" for a rule. */
export function ruleText(rule: LayerRule): string {
  const words = ruleRows.flatMap(({ key, field }) =>
    (rule as Values)[key] === undefined ? [] : [`${field.rule}=${(rule as Values)[key]}`],
  );
  return `${rule.match}: ${words.join(" ")}`;
}

/**
 * A rule from "PATTERN: bits=8 group=32 method=gptq alpha=0", in any order, commas allowed. Its values are checked later, with the recipe.
 * Returns a sentence as `fault` where it cannot be read.
 */
export function ruleOf(text: string): { rule: LayerRule } | { fault: string } {
  const [match, ...rest] = text.split(":").map((part) => part.trim());
  const words = rest
    .join(":")
    .split(/[\s,]+/)
    .filter(Boolean);
  if (!match || !words.length) return { fault: `“${text}” is not of the form “down_proj: bits=8 group=32”` };
  const rule: Values = { match };
  for (const word of words) {
    const [name, value, ...more] = word.split("=");
    const row = ruleRows.find(({ field }) => field.rule === name);
    if (!row || !value || more.length) return { fault: `“${word}” is not one of ${ruleWords} with a value` };
    rule[row.key] = valueFrom(row.field, value);
  }
  return { rule: rule as unknown as LayerRule };
}

/** "method=, bits=, group=, alpha=". */
export const ruleWords = ruleRows.map(({ field }) => `${field.rule}=`).join(", ");
