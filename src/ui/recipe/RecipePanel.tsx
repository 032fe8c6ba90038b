import { bitWidths, formatIds, formatTitles, groupSizes, methodIds, methodTitles } from "../../recipe/recipe";
import { isRunnable } from "../../store/next";
import { CheckField, SelectField } from "../parts/fields";
import { Step } from "../parts/Heading";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Advanced } from "./Advanced";
import { AlphaFields } from "./AlphaFields";
import { faultOf } from "./fault";
import { RecipeFile } from "./RecipeFile";
import css from "./RecipePanel.module.css";

const text = strings.recipe;
const methods = methodIds.map((value) => ({ value, title: methodTitles[value] }));
const formats = formatIds.map((value) => ({ value, title: formatTitles[value] }));
const bits = bitWidths.map((value) => ({ value, title: String(value) }));
const groups = groupSizes.map((value) => ({ value, title: value === -1 ? text.wholeRow : String(value) }));

export function RecipePanel() {
  const { editRecipe } = useStudio();
  const recipe = useStudioState((s) => s.recipe);
  const blocks = useStudioState((s) => s.model.summary?.blocks ?? null);
  const error = useStudioState((s) => s.plan.error);
  const notes = useStudioState((s) => s.plan.summary?.notes ?? []);
  const runnable = useStudioState(isRunnable);
  const fault = faultOf(error);
  const firsts = Array.from({ length: Math.max(0, (blocks ?? 1) - 1) }, (_, i) => ({ value: i + 1, title: text.firstBlocks(i + 1) }));

  return (
    <fieldset className={css.recipe}>
      <legend>
        <Step n={2} />
        {text.title}
      </legend>
      <SelectField
        label={text.method}
        value={recipe.method}
        options={runnable ? methods : methods.filter((m) => m.value === "rtn")}
        onChange={(method) => editRecipe({ method })}
      />
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
      {runnable && <AlphaFields />}
      <SelectField
        label={text.format}
        value={recipe.format}
        options={runnable ? formats : formats.filter((f) => f.value === "dense")}
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
