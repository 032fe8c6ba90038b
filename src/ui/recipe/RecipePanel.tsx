import { isUsed, rowAt } from "../../recipe/access";
import { destinations } from "../../recipe/destinations";
import { fields } from "../../recipe/fields";
import { methodsFor } from "../../recipe/suiting";
import { isRunnable } from "../../store/next";
import { SelectField } from "../parts/fields";
import { StepNumber } from "../parts/Heading";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { Advanced } from "./Advanced";
import { Aims } from "./Aims";
import { AlphaFields } from "./AlphaFields";
import { faultOf } from "./fault";
import { RecipeField } from "./RecipeField";
import { RecipeFile } from "./RecipeFile";
import css from "./RecipePanel.module.css";

const text = strings.recipe;
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
        <StepNumber n={2} />
        {text.title}
      </legend>
      <Aims />
      <RecipeField row={rowAt("method")} hint={null} possible={runnable ? methodsFor(recipe) : ["rtn"]} />
      {(recipe.format === "gguf" || recipe.type !== "none") && <RecipeField row={rowAt("type")} hint={null} />}
      {isUsed(recipe, rowAt("bits")) && (
        <div className={css.pair}>
          <RecipeField row={rowAt("bits")} hint={null} />
          <RecipeField row={rowAt("groupSize")} hint={null} error={fault === "groupSize" ? error?.message : null} />
        </div>
      )}
      <div className={css.pair}>
        <SelectField
          label={fields.blocks.label}
          value={recipe.blocks}
          options={[{ value: null, title: text.allBlocks(blocks) }, ...firsts]}
          onChange={(n) => editRecipe({ blocks: n })}
        />
        <div className={css.low}>{isUsed(recipe, rowAt("symmetric")) && <RecipeField row={rowAt("symmetric")} hint={null} />}</div>
      </div>
      {runnable && <AlphaFields />}
      <RecipeField
        row={rowAt("format")}
        possible={runnable ? destinations[recipe.destination].formats : ["dense"]}
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
