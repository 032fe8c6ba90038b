import { CheckField, NumberField, SelectField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RecipePanel.module.css";

const text = strings.recipe.gptq;
const grids = [
  { value: "block", title: text.grids.block },
  { value: "live", title: text.grids.live },
] as const;

/** What methods gptq and gptaq take. */
export function GptqFields() {
  const { editRecipe } = useStudio();
  const gptq = useStudioState((s) => s.recipe.gptq);
  return (
    <fieldset className={css.kinds}>
      <legend>{text.title}</legend>
      <div className={css.pair}>
        <NumberField
          label={text.damp}
          value={gptq.damp}
          min={0}
          step="any"
          onChange={(damp) => damp !== null && editRecipe({ gptq: { damp } })}
        />
        <SelectField
          label={text.groupGrids}
          value={gptq.groupGrids}
          options={[...grids]}
          onChange={(groupGrids) => editRecipe({ gptq: { groupGrids } })}
        />
      </div>
      <CheckField label={text.actOrder} checked={gptq.actOrder} onChange={(actOrder) => editRecipe({ gptq: { actOrder } })} />
      <CheckField label={text.mse} checked={gptq.mse} onChange={(mse) => editRecipe({ gptq: { mse } })} />
    </fieldset>
  );
}

/** GPTQ's damping is QuIP's too; the seed draws its rotations. */
export function QuipFields() {
  const { editRecipe } = useStudio();
  const damp = useStudioState((s) => s.recipe.gptq.damp);
  const seed = useStudioState((s) => s.recipe.quip.seed);
  return (
    <fieldset className={css.kinds}>
      <legend>{strings.recipe.quip.title}</legend>
      <div className={css.pair}>
        <NumberField
          label={strings.recipe.quip.damp}
          value={damp}
          min={0}
          step="any"
          onChange={(n) => n !== null && editRecipe({ gptq: { damp: n } })}
        />
        <NumberField
          label={strings.recipe.quip.seed}
          value={seed}
          min={0}
          onChange={(n) => n !== null && editRecipe({ quip: { seed: n } })}
        />
      </div>
    </fieldset>
  );
}

/** How much of the upstream error GPTAQ answers by itself. */
export function GptaqField() {
  const { editRecipe } = useStudio();
  const alpha = useStudioState((s) => s.recipe.gptaq.alpha);
  return (
    <NumberField
      label={strings.recipe.gptaqAlpha}
      value={alpha}
      min={0}
      max={1}
      step="any"
      onChange={(n) => n !== null && editRecipe({ gptaq: { alpha: n } })}
    />
  );
}
