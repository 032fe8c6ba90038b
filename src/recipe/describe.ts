/** The recipe's options in words, for `--help` and docs/cli.md. */
import type { Field } from "./field";
import { methods } from "./methods";
import { type RecipeRow, rows, usersOf } from "./rows";

/** What an option is written as: "--bits 2|3|4|8", "--rotate, --rotation-seed N|off", "--[no-]mse" where it is on by default. */
export function optionText({ field }: RecipeRow): string {
  const value = placeholder(field);
  const option = `--${field.kind === "yes-no" && field.default ? "[no-]" : ""}${field.flag}${value ? ` ${value}` : ""}`;
  return field.kind === "optional" && field.switch ? `--${field.switch.flag}, ${option}` : option;
}

function placeholder(field: Field): string {
  if (field.kind === "choice") return field.switch === undefined ? field.choices.join("|") : "";
  if (field.kind === "optional") return `${field.fraction ? "NUMBER" : "N"}${/\s/.test(field.none) ? "" : `|${field.none}`}`;
  const words = { real: "NUMBER", whole: "N", "yes-no": "", rules: '"PATTERN: bits=8"' };
  return words[field.kind];
}

/** "integer ≥ 1", "0 to 1". */
export function valuesText(field: Field): string {
  switch (field.kind) {
    case "choice":
      return field.choices.join(", ");
    case "real":
      return `${field.min} to ${field.max}`;
    case "whole":
      return `integer ≥ ${field.min}`;
    case "optional":
      return `${field.fraction ? "number" : "integer"} ≥ ${field.min}, or null: ${field.none}`;
    case "yes-no":
      return "true, false";
    case "rules":
      return "list of rules";
  }
}

/** The value where the option is not given: "all", "0.25", "off". */
export function defaultText(field: Field): string {
  if (field.kind === "rules") return "none";
  if (field.kind === "yes-no") return field.default ? "on" : "off";
  if (field.kind === "choice" && field.switch !== undefined) return "off";
  return field.default === null && field.kind === "optional" ? field.none : String(field.default);
}

/** The field's sentence, and whose option it is: "Seed of QuIP’s random rotations. (QuIP)" */
export function helpText(row: RecipeRow): string {
  const users = usersOf(row);
  return `${row.field.help}${users ? ` (${users.map((id) => methods[id].name).join(", ")})` : ""}`;
}

const optionColumn = 38;
const lineWidth = 110;

/** The part of `--help` on a recipe's options. */
export const optionsHelp = (): string => rows.map(optionHelp).join("\n");

function optionHelp(row: RecipeRow): string {
  const option = `  ${optionText(row)}`;
  const lines = wrap(`${helpText(row)} [${defaultText(row.field)}]`, lineWidth - optionColumn);
  const beside =
    option.length < optionColumn ? [option.padEnd(optionColumn) + lines[0], ...indented(lines.slice(1))] : [option, ...indented(lines)];
  return beside.join("\n");
}

const indented = (lines: string[]) => lines.map((line) => " ".repeat(optionColumn) + line);

function wrap(text: string, width: number): string[] {
  return text.split(" ").reduce<string[]>((lines, word) => {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
    return lines;
  }, []);
}
