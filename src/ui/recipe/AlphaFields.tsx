import { alphaChoices } from "../../recipe/recipe";
import { canFollow, isFollowing } from "../../store/live";
import { RangeField, SelectField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";

const text = strings.recipe;
const choices = alphaChoices.map((value) => ({ value, title: text.choices[value] }));

/** α, and who decides it. */
export function AlphaFields() {
  const { editRecipe } = useStudio();
  const recipe = useStudioState((s) => s.recipe);
  const following = useStudioState(isFollowing);
  const canLive = useStudioState(canFollow);
  return (
    <>
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
    </>
  );
}
