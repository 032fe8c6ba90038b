/** What docs/ says of a recipe's fields is written from their table: `npx vitest run --project unit tests/recipe -u`. */
import { expect, test } from "vitest";
import { defaultText, helpText, optionText, valuesText } from "../../src/recipe/describe";
import { destinationIds, destinations } from "../../src/recipe/destinations";
import { rows } from "../../src/recipe/rows";
import { readText } from "../support/tree";
import { withRecipe } from "./json-schema";

const cell = (text: string) => text.replaceAll("|", "\\|");
const table = [
  "| option | in recipe.json | values | default | what it does |",
  "|---|---|---|---|---|",
  ...rows.map((row) =>
    ["", `\`${cell(optionText(row))}\``, `\`${row.path}\``, valuesText(row.field), defaultText(row.field), cell(helpText(row)), ""]
      .join(" | ")
      .trim(),
  ),
].join("\n");

test("docs/cli.md lists the options of a recipe", async () => {
  const marks = /(<!-- recipe options, from src\/recipe\/fields.ts -->\n)[\s\S]*?(\n<!-- end -->)/;
  const page = readText("docs/cli.md");
  expect(page).toMatch(marks);
  await expect(page.replace(marks, (_, before, after) => before + table + after)).toMatchFileSnapshot("../../docs/cli.md");
});

const list = (items: readonly string[]) => items.join("<br>");
const places = [
  "| `--for` | where | formats, the first by default | tested with | known besides |",
  "|---|---|---|---|---|",
  ...destinationIds.map((id) => {
    const { title, formats, tested, known } = destinations[id];
    const clients = tested.map(({ name, version, how }) => `${name} ${version}: ${how}`);
    return ["", `\`${id}\``, title, formats.map((f) => `\`${f}\``).join(", "), list(clients) || "nothing", known, ""].join(" | ").trim();
  }),
].join("\n");

test("docs/runtimes.md lists the places to run a model and the clients that are tested", async () => {
  const marks = /(<!-- places, from src\/recipe\/destinations.ts -->\n)[\s\S]*?(\n<!-- end -->)/;
  const page = readText("docs/runtimes.md");
  expect(page).toMatch(marks);
  await expect(page.replace(marks, (_, before, after) => before + places + after)).toMatchFileSnapshot("../../docs/runtimes.md");
});

test("docs/report.schema.json describes the recipe", async () => {
  await expect(withRecipe(readText("docs/report.schema.json"))).toMatchFileSnapshot("../../docs/report.schema.json");
});
