import { CheckField, NumberField } from "../parts/fields";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RecipePanel.module.css";

const text = strings.recipe;

/** What is calibrated on, and what of it QEP and a rotation take. */
export function CalibrationFields({ error }: { error: string | null }) {
  const { editRecipe, chooseCalibration } = useStudio();
  const { qep, calibration, rotation } = useStudioState((s) => s.recipe);
  const choice = useStudioState((s) => s.calibration);
  const longest = useStudioState((s) => s.model.summary?.shape?.maxPositions);
  return (
    <>
      <TextChooser what={text.calibration} choice={choice} onChange={chooseCalibration} error={error} />
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
      <NumberField label={text.damp} value={qep.damp} min={0} step="any" onChange={(n) => n !== null && editRecipe({ qep: { damp: n } })} />
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
    </>
  );
}
