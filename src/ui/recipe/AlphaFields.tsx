import { rowAt } from "../../recipe/access";
import { fields } from "../../recipe/fields";
import { canFollow, isFollowing } from "../../store/live";
import { RangeField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import { RecipeField } from "./RecipeField";

const text = strings.recipe;
const { label, min, max } = fields.qep.alpha;

/** α, and how it is decided. */
export function AlphaFields() {
  const { editRecipe } = useStudio();
  const { alpha, choice } = useStudioState((s) => s.recipe.qep);
  const following = useStudioState(isFollowing);
  const canLive = useStudioState(canFollow);
  return (
    <>
      <RangeField
        disabled={choice === "best"}
        label={label}
        value={alpha}
        min={min}
        max={max}
        step={0.05}
        spoken={text.alphaSpoken(alpha)}
        hint={
          choice === "best" ? text.alphaBest : `${text.alphaHint(alpha)} ${following ? text.alphaLive : canLive ? "" : text.alphaLater}`
        }
        onChange={(a) => editRecipe({ qep: { alpha: a } })}
      />
      <RecipeField row={rowAt("qep.choice")} hint={fields.qep.choice.helps?.[choice]} />
    </>
  );
}
