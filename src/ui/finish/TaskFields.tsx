import { useId } from "react";
import { FileButton } from "../parts/Button";
import { NumberField } from "../parts/fields";
import chooser from "../parts/TextChooser.module.css";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";

const text = strings.tasks;

/** Which questions, and how many of them. */
export function TaskFields() {
  const { editTasks } = useStudio();
  const { kind, file, limit } = useStudioState((s) => s.tasks);
  const demo = useStudioState((s) => s.model.demo);
  const id = useId();
  return (
    <>
      <fieldset className={chooser.chooser}>
        <legend>{text.settings}</legend>
        {demo && (
          <div className={chooser.kinds}>
            {(["demo", "file"] as const).map((k) => (
              <label key={k}>
                <input type="radio" name={`${id}-kind`} checked={kind === k} onChange={() => editTasks({ kind: k })} />
                {text[k]}
              </label>
            ))}
          </div>
        )}
        {kind === "file" && (
          <div className={chooser.file}>
            <FileButton
              label={text.chooseFile}
              accept=".jsonl,.csv,.parquet"
              onChange={(e) => {
                const chosen = e.target.files?.[0];
                if (chosen) editTasks({ file: chosen });
              }}
            />
            <span className={chooser.name}>{file?.name ?? text.formats}</span>
          </div>
        )}
      </fieldset>
      <NumberField label={text.limit} value={limit} min={1} blank="all" onChange={(value) => editTasks({ limit: value })} />
    </>
  );
}
