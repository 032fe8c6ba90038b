/** The part of docs/report.schema.json that is about the recipe, from the table of its fields. */
import type { Field } from "../../src/recipe/field";
import { fields } from "../../src/recipe/fields";
import { type RecipeRow, shaped } from "../../src/recipe/rows";
import { ruleRows } from "../../src/recipe/rules";

type Json = Record<string, unknown>;

const valuesOf = (field: Field): Json => {
  switch (field.kind) {
    case "choice":
      return { enum: field.choices };
    case "real":
      return { type: "number", minimum: field.min, maximum: field.max };
    case "whole":
      return { type: "integer", minimum: field.min };
    case "optional":
      return { type: [field.fraction ? "number" : "integer", "null"], minimum: field.min };
    case "yes-no":
      return { type: "boolean" };
    case "rules":
      return {
        type: "array",
        items: object({ match: { type: "string" }, ...Object.fromEntries(ruleRows.map((row) => [row.key, described(row)])) }, ["match"]),
      };
  }
};

const described = ({ field }: RecipeRow): Json => ({
  ...valuesOf(field),
  description: field.kind === "optional" ? `${field.help} null: ${field.none}.` : field.help,
});
const object = (properties: Json, required = Object.keys(properties)): Json => ({
  type: "object",
  required,
  additionalProperties: false,
  properties,
});

const recipeSchema: Json = {
  description: "The recipe as run; `--recipe` reads it.",
  ...object({ version: { const: 2 }, ...shaped(described, (_, part) => object(part)) }),
};

/** Arrays of plain values on one line where they fit, as the formatter writes them. */
const format = (value: unknown) =>
  `${JSON.stringify(value, null, 2)}\n`.replace(
    /^(.*)\[\n([^[\]{}]*?)\n\s*\](,?)$/gm,
    (whole, before: string, inside: string, comma: string) => {
      const line = `${before}[${inside.trim().replaceAll(/\s*\n\s*/g, " ")}]${comma}`;
      return line.length <= 140 ? line : whole;
    },
  );

/** The file with what it says of the recipe, and of a layer's part in it, taken from the table. */
export function withRecipe(text: string): string {
  const schema = JSON.parse(text);
  schema.properties.recipe = recipeSchema;
  const layer = schema.properties.layers.items.properties;
  for (const name of ["method", "bits"] as const) layer[name] = { ...layer[name], enum: fields[name].choices };
  return format(schema);
}
