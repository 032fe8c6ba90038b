import * as v from "valibot";
import { QuantError } from "../errors";
import {
  alphaChoices,
  bitWidths,
  defaultRecipe,
  formatIds,
  groupSizes,
  type LayerRule,
  layerKinds,
  methodIds,
  type Recipe,
} from "./recipe";

const alpha = v.pipe(v.number("α must be a number"), v.minValue(0, "α must be at least 0"), v.maxValue(1, "α must be at most 1"));
const fraction = (what: string) =>
  v.pipe(v.number(`${what} must be a number`), v.minValue(0, `${what} must be at least 0`), v.finite(`${what} must be finite`));
const count = (what: string, least = 1) =>
  v.pipe(
    v.number(`${what} must be a number`),
    v.integer(`${what} must be a whole number`),
    v.minValue(least, `${what} must be at least ${least}`),
  );

const method = v.picklist(methodIds, `method must be one of ${methodIds.join(", ")}`);
const bits = v.picklist(bitWidths, `bits must be one of ${bitWidths.join(", ")}`);
const groupSize = v.picklist(groupSizes, `groupSize must be one of ${groupSizes.join(", ")}`);
/** What `ruleOf` can read again. */
const pattern = v.pipe(
  v.string("match must be a text"),
  v.minLength(1, "match is empty"),
  v.maxLength(200, "match is longer than 200 characters"),
  v.regex(/^[\w.*-]+$/, "match may hold letters, digits, dots, dashes, underscores and *"),
);
const rule = v.pipe(
  v.strictObject({
    match: pattern,
    method: v.optional(method),
    bits: v.optional(bits),
    groupSize: v.optional(groupSize),
    alpha: v.optional(alpha),
  }),
  v.check(
    (r) => Object.values(r).filter((x) => x !== undefined).length > 1,
    "a rule changes nothing: it needs method, bits, groupSize or alpha",
  ),
);

const schema = v.strictObject({
  version: v.literal(1, "version must be 1"),
  method,
  bits,
  groupSize,
  symmetric: v.boolean("symmetric must be true or false"),
  qep: v.strictObject({
    alpha,
    damp: fraction("qep.damp"),
    choice: v.picklist(alphaChoices, `qep.choice must be one of ${alphaChoices.join(", ")}`),
    heldOut: count("qep.heldOut"),
  }),
  rules: v.pipe(v.array(rule, "rules must be a list"), v.maxLength(200, "there are more than 200 rules")),
  rotation: v.nullable(count("rotation", 0)),
  gptq: v.strictObject({
    damp: fraction("gptq.damp"),
    actOrder: v.boolean("gptq.actOrder must be true or false"),
    mse: v.boolean("gptq.mse must be true or false"),
    groupGrids: v.picklist(["block", "live"], "gptq.groupGrids must be block or live"),
  }),
  quip: v.strictObject({ seed: count("quip.seed", 0) }),
  gptaq: v.strictObject({ alpha }),
  calibration: v.strictObject({
    windows: v.nullable(count("calibration.windows")),
    windowLength: count("calibration.windowLength", 2),
    seed: count("calibration.seed", 0),
  }),
  blocks: v.nullable(count("blocks")),
  format: v.picklist(formatIds, `format must be one of ${formatIds.join(", ")}`),
});

/**
 * A recipe from untrusted JSON; missing fields take their defaults (recipe.json of an older version, or written by hand).
 * @throws QuantError `bad-recipe` naming the first field that is wrong.
 */
export function parseRecipe(input: unknown): Recipe {
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw new QuantError("bad-recipe", "it is not a JSON object");
  const given = input as Partial<Recipe>;
  const { alphaFor, ...qep } = { alphaFor: {}, ...given.qep };
  const merged = {
    ...defaultRecipe,
    ...given,
    qep: { ...defaultRecipe.qep, ...qep },
    rules: Array.isArray(given.rules ?? []) ? [...alphaRules(alphaFor), ...(given.rules ?? [])] : given.rules,
    gptq: { ...defaultRecipe.gptq, ...given.gptq },
    quip: { ...defaultRecipe.quip, ...given.quip },
    gptaq: { ...defaultRecipe.gptaq, ...given.gptaq },
    calibration: { ...defaultRecipe.calibration, ...given.calibration },
  };
  const result = v.safeParse(schema, merged);
  if (result.success) return result.output as Recipe;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  throw new QuantError("bad-recipe", path ? `${path}: ${issue.message}` : issue.message);
}

/** α by kind or name, as recipes of version 0.1 wrote it: a name beats a kind. */
function alphaRules(alphaFor: Record<string, number>): LayerRule[] {
  const isKind = (match: string) => (layerKinds as readonly string[]).includes(match);
  const rules = Object.entries(alphaFor).map(([match, alpha]) => ({ match, alpha }));
  return [...rules.filter((r) => isKind(r.match)), ...rules.filter((r) => !isKind(r.match))];
}
