import { alphaChoices, bitWidths, formatIds, formatTitles, groupSizes, methodIds, methodTitles } from "../../recipe/recipe";
import { canFollow, isFollowing } from "../../store/live";
import { CheckField, RangeField, SelectField } from "../parts/fields";
import { Step } from "../parts/Heading";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Advanced } from "./Advanced";
import { faultOf } from "./fault";
import { RecipeFile } from "./RecipeFile";
import css from "./RecipePanel.module.css";

const text = strings.recipe;
const methods = methodIds.map((value) => ({ value, title: methodTitles[value] }));
const formats = formatIds.map((value) => ({ value, title: formatTitles[value] }));
const choices = alphaChoices.map((value) => ({ value, title: text.choices[value] }));
const bits = bitWidths.map((value) => ({ value, title: String(value) }));
const groups = groupSizes.map((value) => ({ value, title: value === -1 ? text.wholeRow : String(value) }));

export function RecipePanel() {
  const { editRecipe } = useStudio();
  const recipe = useStudioState((s) => s.recipe);
  const blocks = useStudioState((s) => s.model.summary?.blocks ?? null);
  const error = useStudioState((s) => s.plan.error);
  const notes = useStudioState((s) => s.plan.summary?.notes ?? []);
  const following = useStudioState(isFollowing);
  const canLive = useStudioState(canFollow);
  const fault = faultOf(error);
  const firsts = Array.from({ length: Math.max(0, (blocks ?? 1) - 1) }, (_, i) => ({ value: i + 1, title: text.firstBlocks(i + 1) }));

  return (
    <fieldset className={css.recipe}>
      <legend>
        <Step n={2} />
        {text.title}
      </legend>
      <SelectField label={text.method} value={recipe.method} options={methods} onChange={(method) => editRecipe({ method })} />
      <div className={css.pair}>
        <SelectField label={text.bits} value={recipe.bits} options={bits} onChange={(b) => editRecipe({ bits: b })} />
        <SelectField
          label={text.groupSize}
          value={recipe.groupSize}
          options={groups}
          onChange={(groupSize) => editRecipe({ groupSize })}
          error={fault === "groupSize" ? error?.message : null}
        />
      </div>
      <div className={css.pair}>
        <SelectField
          label={text.blocks}
          value={recipe.blocks}
          options={[{ value: null, title: text.allBlocks(blocks) }, ...firsts]}
          onChange={(n) => editRecipe({ blocks: n })}
        />
        <div className={css.low}>
          <CheckField label={text.symmetric} checked={recipe.symmetric} onChange={(symmetric) => editRecipe({ symmetric })} />
        </div>
      </div>
      <RangeField
        disabled={recipe.qep.choice === "best"}
        label={text.alpha}
        value={recipe.qep.alpha}
        min={0}
        max={1}
        step={0.05}
        spoken={text.alphaSpoken(recipe.qep.alpha)}
        hint={
          recipe.qep.choice === "best"
            ? text.alphaBest
            : `${text.alphaHint(recipe.qep.alpha)} ${following ? text.alphaLive : canLive ? "" : text.alphaLater}`
        }
        onChange={(alpha) => editRecipe({ qep: { alpha } })}
      />
      <SelectField
        label={text.choice}
        value={recipe.qep.choice}
        options={choices}
        hint={text.choiceHints[recipe.qep.choice]}
        onChange={(choice) => editRecipe({ qep: { choice } })}
      />
      <SelectField
        label={text.format}
        value={recipe.format}
        options={formats}
        onChange={(format) => editRecipe({ format })}
        hint={notes.join(" ")}
        error={fault === "format" ? error?.message : null}
      />
      <Advanced
        calibrationError={fault === "calibration" ? (error?.message ?? null) : null}
        rulesError={fault === "rules" ? (error?.message ?? null) : null}
      />
      {error && fault === "other" && <p className={css.error}>{error.message}</p>}
      <RecipeFile />
    </fieldset>
  );
}
