import { useState } from "react";
import { isRunnable } from "../../store/next";
import { methodsOf, takesGptq } from "../command";
import { strings } from "../strings";
import { useStudioState } from "../studio";
import { CalibrationFields } from "./CalibrationFields";
import { GptaqField, GptqFields, QuipFields } from "./GptqFields";
import css from "./RecipePanel.module.css";
import { RulesField } from "./RulesField";

const text = strings.recipe;

/** Opens by itself when what is wrong is inside. */
export function Advanced({ calibrationError, rulesError }: { calibrationError: string | null; rulesError: string | null }) {
  const recipe = useStudioState((s) => s.recipe);
  const methods = methodsOf(recipe);
  const runnable = useStudioState(isRunnable);

  const [open, setOpen] = useState(false);
  const [toldOf, setToldOf] = useState<string | null>(null);
  const error = calibrationError ?? rulesError;
  if (error !== toldOf) {
    setToldOf(error);
    if (error) setOpen(true);
  }

  return (
    <details className={css.advanced} open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{text.advanced}</summary>
      <div className={css.inside}>
        {runnable && <CalibrationFields error={calibrationError} />}
        <RulesField error={rulesError} />
        {takesGptq(recipe) && <GptqFields />}
        {methods.includes("quip") && <QuipFields />}
        {methods.includes("gptaq") && <GptaqField />}
      </div>
    </details>
  );
}
