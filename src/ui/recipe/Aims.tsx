import { destinationIds, destinations, loadsIn } from "../../recipe/destinations";
import { fields } from "../../recipe/fields";
import { bitsText } from "../../recipe/formats";
import { presetIds, presetOf, presets } from "../../recipe/presets";
import { isRunnable } from "../../store/next";
import { bytes } from "../format";
import { SelectField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";

const text = strings.recipe;

/** Where the result will run, and how good it is to be: the two choices that set all others. */
export function Aims() {
  const runnable = useStudioState(isRunnable);
  return (
    <>
      <DestinationField ids={runnable ? destinationIds : ["measure"]} />
      {runnable && <PresetField />}
    </>
  );
}

function DestinationField({ ids }: { ids: typeof destinationIds }) {
  const { chooseDestination } = useStudio();
  const chosen = useStudioState((s) => s.recipe.destination);
  const size = useStudioState(
    ({ plan: { summary }, recipe: { format } }) => summary && text.size(bytes(summary.bytesOut), bitsText(summary.bitsPerWeight, format)),
  );
  return (
    <SelectField
      label={fields.destination.label}
      hint={`${loadsIn(chosen)}${size ? ` ${size}` : ""}`}
      value={chosen}
      options={ids.map((value) => ({ value, title: destinations[value].title }))}
      onChange={chooseDestination}
    />
  );
}

function PresetField() {
  const { editRecipe } = useStudio();
  const chosen = useStudioState((s) => presetOf(s.recipe));
  const named = presetIds.map((value) => ({ value, title: presets[value].title }));
  return (
    <SelectField
      label={text.preset}
      hint={chosen ? presets[chosen].help : text.noPreset}
      value={chosen}
      // Own settings cannot be chosen: they come of changing something below.
      options={chosen ? named : [...named, { value: null, title: text.ownSettings }]}
      onChange={(id) => id && editRecipe(presets[id].sets)}
    />
  );
}
