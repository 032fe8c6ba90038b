/** The description of one field of a recipe. Schema, command line, page and documents are all made from it. */

interface About<Word extends string> {
  /** Beside the control on the page. */
  label: string;
  /** One sentence for the page, `--help` and docs/cli.md. */
  help: string;
  /** The option of the command line, without its dashes. */
  flag: string;
  /** The word that sets it in a layer rule ("bits" in `down_proj: bits=8`); a field without one is the same for all layers. */
  rule?: Word;
  /** Shown in a run's title where the field is true. */
  tag?: string;
  /** The field has no effect while the one at this path has this value. */
  unless?: { path: string; is: string | boolean };
  /** The field has an effect only while the one at this path has this value. */
  onlyIf?: { path: string; is: string | boolean };
  /** RecipePanel places its control by hand. All other fields are listed under "Advanced" on the page, in the table's order. */
  front?: true;
}

type Choosable = string | number;

export interface Choice<T extends Choosable> {
  kind: "choice";
  default: T;
  choices: readonly T[];
  /** What people read for a choice, where that is not its value. */
  titles?: Partial<Record<T, string>>;
  /** A sentence on each choice, for the page. */
  helps?: Partial<Record<T, string>>;
  /** The option takes no value: it sets this choice. */
  switch?: T;
}

export interface Real {
  kind: "real";
  default: number;
  min: number;
  max: number;
}

export interface Whole {
  kind: "whole";
  default: number;
  min: number;
}

/** A number or null: a whole one, unless it may be a fraction. */
export interface Optional {
  kind: "optional";
  default: number | null;
  min: number;
  fraction?: true;
  /** What null means: "all", "off". On the command line the word stands for null. */
  none: string;
  /** An option and a checkbox that change null to `min`; without it, an empty input means null. */
  switch?: { flag: string; label: string };
}

export interface YesNo {
  kind: "yes-no";
  default: boolean;
}

/** The list of layer rules. */
export interface Rules {
  kind: "rules";
  default: readonly never[];
}

export type Field = About<string> & (Choice<Choosable> | Real | Whole | Optional | YesNo | Rules);

/** Fields by name; a name with a table of its own is a section ("qep"). */
export type Table = { readonly [name: string]: Field | { readonly [name: string]: Field } };

export const isField = (entry: Table[string]): entry is Field => typeof entry.kind === "string";

/** Whether its value is a number, where it is not null. */
export const isNumeric = (field: Field): boolean =>
  field.kind === "choice"
    ? typeof field.choices[0] === "number"
    : field.kind === "real" || field.kind === "whole" || field.kind === "optional";

/** A field's value from its text, not yet checked. Where a number is wanted, any other text gives NaN. */
export function valueFrom(field: Field, text: string): unknown {
  if (field.kind === "optional" && text === field.none) return null;
  if (isNumeric(field)) return text.trim() === "" ? Number.NaN : Number(text);
  return field.kind === "yes-no" && (text === "true" || text === "false") ? text === "true" : text;
}

/** The title of a choice. */
export const titleOf = (titles: Partial<Record<Choosable, string>> | undefined, value: Choosable): string =>
  titles?.[value] ?? String(value);

type Details<F> = Omit<F, "kind" | "default" | "choices">;

export const choice = <const T extends Choosable, const Word extends string = never>(
  choices: readonly T[],
  value: NoInfer<T>,
  about: About<Word> & Details<Choice<NoInfer<T>>>,
): About<Word> & Choice<T> => ({ kind: "choice", choices, default: value, ...about });

export const real = <const Word extends string = never>(value: number, about: About<Word> & Details<Real>): About<Word> & Real => ({
  kind: "real",
  default: value,
  ...about,
});

export const whole = <const Word extends string = never>(value: number, about: About<Word> & Details<Whole>): About<Word> & Whole => ({
  kind: "whole",
  default: value,
  ...about,
});

export const optional = <const Word extends string = never>(about: About<Word> & Details<Optional>): About<Word> & Optional => ({
  kind: "optional",
  default: null,
  ...about,
});

export const yesNo = <const Word extends string = never>(value: boolean, about: About<Word>): About<Word> & YesNo => ({
  kind: "yes-no",
  default: value,
  ...about,
});

export const layerRules = (about: About<never>): About<never> & Rules => ({ kind: "rules", default: [], ...about });
