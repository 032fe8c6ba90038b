import { useState } from "react";
import { takesGptq } from "../command";
import { CheckField, NumberField } from "../parts/fields";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { GptaqField, GptqFields, QuipFields } from "./GptqFields";
import css from "./RecipePanel.module.css";
import { RulesField } from "./RulesField";

const text = strings.recipe;

/** Opens by itself when what is wrong is inside. */
export function Advanced({ calibrationError, rulesError }: { calibrationError: string | null; rulesError: string | null }) {
  const { editRecipe, chooseCalibration } = useStudio();
  const { method, qep, calibration, rotation } = useStudioState((s) => s.recipe);
  const choice = useStudioState((s) => s.calibration);
  const longest = useStudioState((s) => s.model.summary?.shape?.maxPositions);

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
        <TextChooser what={text.calibration} choice={choice} onChange={chooseCalibration} error={calibrationError} />
        <div className={css.triple}>
          <NumberField
            label={text.windows}
            value={calibration.windows}
            min={1}
            blank="all"
            onChange={(windows) => editRecipe({ calibration: { windows } })}
          />
          <NumberField
            label={text.windowLength}
            value={calibration.windowLength}
            min={2}
            max={longest}
            onChange={(n) => n !== null && editRecipe({ calibration: { windowLength: n } })}
          />
          <NumberField
            label={text.seed}
            value={calibration.seed}
            min={0}
            onChange={(n) => n !== null && editRecipe({ calibration: { seed: n } })}
          />
        </div>
        <NumberField
          label={text.damp}
          value={qep.damp}
          min={0}
          step="any"
          onChange={(n) => n !== null && editRecipe({ qep: { damp: n } })}
        />
        {qep.choice !== "given" && (
          <NumberField
            label={text.heldOut}
            value={qep.heldOut}
            min={1}
            hint={text.heldOutHint}
            onChange={(n) => n !== null && editRecipe({ qep: { heldOut: n } })}
          />
        )}
        <CheckField label={text.rotate} checked={rotation !== null} onChange={(on) => editRecipe({ rotation: on ? 0 : null })} />
        {rotation !== null && (
          <NumberField
            label={text.rotationSeed}
            value={rotation}
            min={0}
            hint={text.rotateHint}
            onChange={(n) => n !== null && editRecipe({ rotation: n })}
          />
        )}
        <RulesField error={rulesError} />
        {takesGptq(method) && <GptqFields />}
        {method === "quip" && <QuipFields />}
        {method === "gptaq" && <GptaqField />}
      </div>
    </details>
  );
}
