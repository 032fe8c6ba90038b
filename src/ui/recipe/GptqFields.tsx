import { CheckField, NumberField, SelectField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RecipePanel.module.css";

const text = strings.recipe.gptq;
const grids = [
  { value: "block", title: text.grids.block },
  { value: "live", title: text.grids.live },
] as const;

/** What only method gptq takes. */
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
