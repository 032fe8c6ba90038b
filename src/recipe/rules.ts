import type { Bits, GroupSize, LayerRule, MethodId, Recipe } from "./recipe";

/** What is done to one layer. */
export interface LayerSettings {
  method: MethodId;
  bits: Bits;
  groupSize: GroupSize;
  symmetric: boolean;
  /** α as the recipe gives it. */
  alpha: number;
  /** A rule names α for this layer, so that nothing else may choose it. */
  alphaFixed: boolean;
}

/** Whether a rule's pattern means the layer of this full name. Linear in the name. */
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

/** The settings of a layer: the recipe's, with its rules on top. α of `down_proj` is 0 unless a rule names it, as in the authors' code. */
export function settingsOf(recipe: Recipe, name: string): LayerSettings {
  const { method, bits, groupSize, symmetric, qep } = recipe;
  const { match: _, ...changed }: Partial<LayerRule> = Object.assign({}, ...recipe.rules.filter((r) => matches(r.match, name)));
  const alpha = matches("down_proj", name) ? 0 : qep.alpha;
  return { method, bits, groupSize, symmetric, alpha, ...changed, alphaFixed: changed.alpha !== undefined };
}

/** α of one layer as the recipe gives it. */
export const alphaOf = (recipe: Recipe, name: string): number => settingsOf(recipe, name).alpha;

const fields = { method: "method", bits: "bits", group: "groupSize", alpha: "alpha" } as const;

/** "down_proj: bits=8 group=32" for a rule. */
export function ruleText(rule: LayerRule): string {
  const words = Object.entries(fields).flatMap(([word, field]) => (rule[field] === undefined ? [] : [`${word}=${rule[field]}`]));
  return `${rule.match}: ${words.join(" ")}`;
}

/**
 * A rule from "PATTERN: bits=8 group=32 method=gptq alpha=0", in any order, commas allowed; its values are checked with the recipe.
 * Answers a sentence where it cannot be read.
 */
export function ruleOf(text: string): { rule: LayerRule } | { fault: string } {
  const [match, ...rest] = text.split(":").map((part) => part.trim());
  const words = rest
    .join(":")
    .split(/[\s,]+/)
    .filter(Boolean);
  if (!match || !words.length) return { fault: `“${text}” is not of the form “down_proj: bits=8 group=32”` };
  const rule: Record<string, unknown> = { match };
  for (const word of words) {
    const [name, value, ...more] = word.split("=");
    if (!Object.hasOwn(fields, name) || !value || more.length)
      return { fault: `“${word}” is not one of ${Object.keys(fields).join("=, ")}= with a value` };
    rule[fields[name as keyof typeof fields]] = name === "method" ? value : Number(value);
  }
  return { rule: rule as unknown as LayerRule };
}
