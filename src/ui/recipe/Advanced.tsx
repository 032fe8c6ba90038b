import { useState } from "react";
import { layerKinds } from "../../recipe/recipe";
import { takesGptq } from "../command";
import { NumberField } from "../parts/fields";
import { TextChooser } from "../parts/TextChooser";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { GptaqField, GptqFields, QuipFields } from "./GptqFields";
import css from "./RecipePanel.module.css";

const text = strings.recipe;

/** Opens by itself when what is wrong is inside. */
export function Advanced({ calibrationError }: { calibrationError: string | null }) {
  const { editRecipe, chooseCalibration } = useStudio();
  const { method, qep, calibration } = useStudioState((s) => s.recipe);
  const choice = useStudioState((s) => s.calibration);
  const longest = useStudioState((s) => s.model.summary?.maxPositions);

  const [open, setOpen] = useState(false);
  const [toldOf, setToldOf] = useState<string | null>(null);
  if (calibrationError !== toldOf) {
    setToldOf(calibrationError);
    if (calibrationError) setOpen(true);
  }

  function setKind(kind: string, alpha: number | null) {
    const { [kind]: _, ...others } = qep.alphaFor;
    editRecipe({ qep: { alphaFor: alpha === null ? others : { ...others, [kind]: alpha } } });
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
        <fieldset className={css.kinds}>
          <legend>{text.alphaFor}</legend>
          <div className={css.kindGrid}>
            {layerKinds.map((kind) => (
              <NumberField
                key={kind}
                label={text.alphaForKind(kind)}
                value={qep.alphaFor[kind] ?? null}
                min={0}
                max={1}
                step="any"
                blank={kind === "down_proj" ? "0" : String(qep.alpha)}
                onChange={(alpha) => setKind(kind, alpha)}
              />
            ))}
          </div>
          <p className={css.hint}>{text.alphaForHint}</p>
        </fieldset>
        <NumberField
          label={text.damp}
          value={qep.damp}
          min={0}
          step="any"
          onChange={(n) => n !== null && editRecipe({ qep: { damp: n } })}
        />
        {takesGptq(method) && <GptqFields />}
        {method === "quip" && <QuipFields />}
        {method === "gptaq" && <GptaqField />}
      </div>
    </details>
  );
}
