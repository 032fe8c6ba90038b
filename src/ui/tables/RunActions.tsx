import { useState } from "react";
import { recipeTitle } from "../../recipe/recipe";
import type { Run } from "../../store/state";
import { commandOf } from "../command";
import { Button } from "../parts/Button";
import { copy } from "../parts/copy";
import { LabelledField } from "../parts/fields";
import { download, exportName } from "../save";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./RunActions.module.css";

const text = strings.runs;

/** What can be done with the selected run. */
export function RunActions({ run }: { run: Run }) {
  const studio = useStudio();
  const label = useStudioState((s) => s.model.summary?.label ?? "");
  const [refused, setRefused] = useState<string | null>(null);

  async function copyCommand() {
    const command = commandOf(run.recipe, run.text);
    const done = await copy(command);
    setRefused(done ? null : command);
    if (done) studio.notify(text.copied);
  }

  function save() {
    const json = JSON.stringify(run.recipe, null, 2);
    download(new Blob([json, "\n"], { type: "application/json" }), `${exportName(label, run.recipe)}.recipe.json`);
  }

  return (
    <fieldset className={css.actions}>
      <legend>{text.actions(run.number)}</legend>
      <div className={css.name}>
        <LabelledField label={text.name(run.number)}>
          {(wired) => (
            <input
              {...wired}
              type="text"
              maxLength={80}
              value={run.name ?? ""}
              placeholder={recipeTitle(run.recipe)}
              onChange={(e) => studio.rename(run.id, e.target.value)}
            />
          )}
        </LabelledField>
      </div>
      <div className={css.buttons}>
        {run.dragged && run.status === "done" && (
          <Button title={text.keepWhy} onClick={() => studio.keep(run.id)}>
            {text.keep}
          </Button>
        )}
        <Button
          onClick={() => {
            studio.loadRecipe(run.recipe);
            studio.notify(text.loaded(run.number));
          }}
        >
          {text.load}
        </Button>
        <Button onClick={copyCommand}>{text.copy}</Button>
        <Button onClick={save}>{text.save}</Button>
      </div>
      {refused && (
        <div className={css.refused}>
          <p>{text.notCopied}</p>
          <code>{refused}</code>
        </div>
      )}
    </fieldset>
  );
}
