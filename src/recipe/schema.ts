import * as v from "valibot";
import { QuantError } from "../errors";
import { changeRecipe, merge } from "./access";
import type { Field } from "./field";
import { defaultRecipe, type LayerRule, layerKinds, type Recipe } from "./recipe";
import { sections, shaped } from "./rows";
import { ruleRows } from "./rules";

type Schema = v.GenericSchema<unknown>;

const numeric = (min: number, max = Number.POSITIVE_INFINITY, what = "a number") =>
  v.pipe(
    v.number(`must be ${what}`),
    v.finite("must be finite"),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  );
const integral = (min: number, what?: string) => v.pipe(numeric(min, undefined, what), v.integer("must be a whole number"));

/** `expected` is "never" for a key that should not be there. */
const object = (entries: Record<string, Schema>, what: string) =>
  v.strictObject(entries, ({ expected }) => (expected === "never" ? `is not a field of ${what}` : "must be an object"));

/** What `ruleOf` can read again. */
const pattern = v.pipe(
  v.string("must be text"),
  v.minLength(1, "is empty"),
  v.maxLength(200, "is longer than 200 characters"),
  v.regex(/^[\w.*-]+$/, "may hold letters, digits, dots, dashes, underscores and *"),
);

/** Messages are shown after the field's path: "qep.alpha" "must be at most 1". */
function schemaOf(field: Field): Schema {
  switch (field.kind) {
    case "choice":
      return v.picklist(field.choices, `must be one of ${field.choices.join(", ")}`);
    case "real":
      return numeric(field.min, field.max);
    case "whole":
      return integral(field.min);
    case "optional": {
      const what = `a number, or null (${field.none})`;
      return v.nullable(field.fraction ? numeric(field.min, undefined, what) : integral(field.min, what));
    }
    case "yes-no":
      return v.boolean("must be true or false");
    case "rules":
      return v.pipe(v.array(rule, "must be a list"), v.maxLength(200, "has more than 200 rules"));
  }
}

const ruleNames = ruleRows.map(({ key }) => key);
const rule = v.pipe(
  object({ match: pattern, ...Object.fromEntries(ruleRows.map(({ key, field }) => [key, v.optional(schemaOf(field))])) }, "a rule"),
  v.check(
    (r) => Object.values(r).filter((x) => x !== undefined).length > 1,
    `changes nothing: it needs ${ruleNames.slice(0, -1).join(", ")} or ${ruleNames.at(-1)}`,
  ),
);

const schema = object(
  {
    version: v.literal(2, "must be 1 or 2"),
    ...shaped(
      ({ field }) => schemaOf(field),
      (section, part) => object(part, `a recipe’s ${section}`),
    ),
  },
  "a recipe",
);

/** What a recipe of version 1 means where it leaves a field out, or could not have it: the defaults of 0.1. */
const before = changeRecipe(defaultRecipe, {
  method: "rtn",
  qep: { downProj: false, damp: 0.01 },
  gptq: { actOrder: false, mse: false, damp: 0.01 },
});

/** A recipe.json of version 1 in today's terms; one without a version is taken for today's, unless it has a field that only version 1 had. */
function renewed(given: Record<string, unknown>): Record<string, unknown> {
  const isOld = given.version === 1 || (isObject(given.qep) && given.qep.alphaFor !== undefined);
  return isOld ? { ...merge(before, withoutAlphaFor(given)), version: 2 } : given;
}

/** The first field that is wrong: "qep.alpha", "rules.0.bits"; "" is the recipe itself. `fault` follows its name: "must be at most 1". */
interface RecipeFault {
  path: string;
  fault: string;
}

/** A recipe from untrusted JSON, of this version or version 1; missing fields take their defaults. */
export function readRecipe(input: unknown): Recipe | RecipeFault {
  if (!isObject(input)) return { path: "", fault: "it is not a JSON object" };
  const wrong = sections.find((name) => input[name] !== undefined && !isObject(input[name]));
  if (wrong) return { path: wrong, fault: "must be an object" };
  const result = v.safeParse(schema, merge(defaultRecipe, renewed(input)));
  if (result.success) return result.output as Recipe;
  const issue = result.issues[0];
  return { path: v.getDotPath(issue) ?? "", fault: issue.message };
}

/** As `readRecipe`. @throws QuantError `bad-recipe` naming the first field that is wrong. */
export function parseRecipe(input: unknown): Recipe {
  const read = readRecipe(input);
  if ("fault" in read) throw new QuantError("bad-recipe", `${place(read.path)} ${read.fault}`.trimStart());
  return read;
}

/** "qep.alpha"; within the list of rules "rule 1: bits", counting from 1. */
function place(path: string): string {
  const [, index, name] = /^rules\.(\d+)(?:\.(.+))?$/.exec(path) ?? [];
  if (index === undefined) return path;
  return `rule ${Number(index) + 1}${name ? `: ${name}` : ""}`;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Version 0.1 kept α by layer kind or name in `qep.alphaFor`, where a name beat a kind. They become rules, put before the recipe's own. */
function withoutAlphaFor(given: Record<string, unknown>): Record<string, unknown> {
  const { qep, rules = [] } = given;
  if (!isObject(qep) || !isObject(qep.alphaFor)) return given;
  const { alphaFor, ...rest } = qep;
  return { ...given, qep: rest, rules: Array.isArray(rules) ? [...alphaRules(alphaFor as Record<string, number>), ...rules] : rules };
}

function alphaRules(alphaFor: Record<string, number>): LayerRule[] {
  const isKind = (match: string) => (layerKinds as readonly string[]).includes(match);
  const rules = Object.entries(alphaFor).map(([match, alpha]) => ({ match, alpha }));
  return [...rules.filter((r) => isKind(r.match)), ...rules.filter((r) => !isKind(r.match))];
}
