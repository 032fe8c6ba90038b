import { useState } from "react";
import { isUsed, methodsOf } from "../../recipe/access";
import { helpText } from "../../recipe/describe";
import { type MethodId, methods } from "../../recipe/methods";
import { type RecipeRow, rows, usersOf } from "../../recipe/rows";
import { isRunnable } from "../../store/next";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { RecipeField } from "./RecipeField";
import css from "./RecipePanel.module.css";
import { RulesField } from "./RulesField";

const text = strings.recipe;
/** The fields that RecipePanel does not place, apart from methods' options and the rules. */
const common = rows.filter((row) => !row.field.front && row.field.kind !== "rules" && usersOf(row) === null);
const calibration = common.filter((row) => row.section === "calibration");
const others = common.filter((row) => row.section !== "calibration");

/** The less-used fields, folded away. Opens by itself when an error is about one of them. */
export function Advanced({ calibrationError, rulesError }: { calibrationError: string | null; rulesError: string | null }) {
  const recipe = useStudioState((s) => s.recipe);
  const runnable = useStudioState(isRunnable);
  const [open, setOpen] = useState(false);
  const [shownError, setShownError] = useState<string | null>(null);
  const error = calibrationError ?? rulesError;
  if (error !== shownError) {
    setShownError(error);
    if (error) setOpen(true);
  }

  return (
    <details className={css.advanced} open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{text.advanced}</summary>
      <div className={css.inside}>
        {runnable && <CalibrationFields error={calibrationError} />}
        {runnable && others.filter((row) => isUsed(recipe, row)).map((row) => <RecipeField key={row.path} row={row} />)}
        <RulesField error={rulesError} />
        {optionsOf(methodsOf(recipe)).map(({ id, options }) => (
          <fieldset key={id} className={css.kinds}>
            <legend>{methods[id].name}</legend>
            {options.map((row) => (
              <RecipeField key={row.path} row={row} hint={usersOf(row)?.length === 1 ? undefined : helpText(row)} />
            ))}
          </fieldset>
        ))}
      </div>
    </details>
  );
}

/** The settings of the calibration windows. */
function CalibrationFields({ error }: { error: string | null }) {
  const { chooseCalibration } = useStudio();
  const choice = useStudioState((s) => s.calibration);
  const longest = useStudioState((s) => s.model.summary?.shape?.maxPositions);
  return (
    <>
      <TextChooser what={text.calibration} choice={choice} onChange={chooseCalibration} error={error} />
      <div className={css.triple}>
        {calibration.map((row) => (
          <RecipeField key={row.path} row={row} max={row.key === "windowLength" ? longest : undefined} />
        ))}
      </div>
    </>
  );
}

/** The options of these methods, by method. An option that several methods use is listed with the first of them. */
function optionsOf(used: readonly MethodId[]): { id: MethodId; options: RecipeRow[] }[] {
  const ids = [...new Set(used)];
  const first = (row: RecipeRow) => ids.find((id) => usersOf(row)?.includes(id));
  return ids.map((id) => ({ id, options: rows.filter((row) => first(row) === id) })).filter(({ options }) => options.length > 0);
}
