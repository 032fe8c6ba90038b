import { changeOf } from "../../recipe/access";
import { type Field, titleOf } from "../../recipe/field";
import { fieldValue } from "../../recipe/recipe";
import type { RecipeRow } from "../../recipe/rows";
import { CheckField, NumberField, SelectField } from "../parts/fields";
import { useStudio, useStudioState } from "../studio";

interface Props {
  row: RecipeRow;
  /** Shown instead of the field's help sentence; null: no hint. */
  hint?: string | null;
  error?: string | null;
  /** The choices to offer; all of the field's unless given. */
  possible?: readonly unknown[];
  /** The largest number to accept. */
  max?: number;
}

/** The control of one field of the recipe, as the table describes it. Layer rules have their own. */
export function RecipeField({ row, hint, error, possible, max }: Props) {
  const { editRecipe } = useStudio();
  const value = useStudioState((s) => fieldValue(s.recipe, row));
  const { field } = row;
  const set = (next: unknown) => editRecipe(changeOf(row, next));
  const common = { label: field.label, hint: hint === undefined ? field.help : hint, error };
  switch (field.kind) {
    case "choice":
      return <SelectField {...common} value={value} options={optionsOf(field, possible)} onChange={set} />;
    case "yes-no":
      return <CheckField {...common} checked={value as boolean} onChange={set} />;
    case "optional":
      return <OptionalField {...common} field={field} value={value as number | null} max={max} onChange={set} />;
    case "real":
    case "whole":
      return (
        <NumberField
          {...common}
          value={value as number}
          min={field.min}
          max={max ?? (field.kind === "real" ? field.max : undefined)}
          step={stepOf(field)}
          onChange={(n) => n !== null && set(n)}
        />
      );
    case "rules":
      return null;
  }
}

const stepOf = (field: Extract<Field, { kind: "real" | "whole" | "optional" }>) =>
  field.kind === "real" || (field.kind === "optional" && field.fraction) ? "any" : 1;

function optionsOf({ choices, titles }: Extract<Field, { kind: "choice" }>, possible: readonly unknown[] = choices) {
  return choices.filter((c) => possible.includes(c)).map((value) => ({ value: value as unknown, title: titleOf(titles, value) }));
}

interface OptionalProps {
  field: Extract<Field, { kind: "optional" }>;
  label: string;
  hint?: string | null;
  error?: string | null;
  value: number | null;
  max?: number;
  onChange: (value: number | null) => void;
}

/** A number that may be left out: an empty input, or, where the field has a switch, a checkbox before it. */
function OptionalField({ field, value, onChange, ...common }: OptionalProps) {
  if (!field.switch)
    return <NumberField {...common} value={value} min={field.min} step={stepOf(field)} blank={field.none} onChange={onChange} />;
  return (
    <>
      <CheckField
        label={field.switch.label}
        hint={common.hint}
        checked={value !== null}
        onChange={(on) => onChange(on ? field.min : null)}
      />
      {value !== null && <NumberField {...common} hint={null} value={value} min={field.min} onChange={(n) => n !== null && onChange(n)} />}
    </>
  );
}
