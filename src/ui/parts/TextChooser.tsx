import { useId } from "react";
import type { TextChoice } from "../../store/texts";
import { strings } from "../strings";
import { FileButton } from "./Button";
import { LabelledField } from "./fields";
import css from "./TextChooser.module.css";

interface Props {
  /** "Calibration text" or "Evaluation text". */
  what: string;
  choice: TextChoice;
  onChange: (change: Partial<TextChoice>) => void;
  error?: string | null;
}

export function TextChooser({ what, choice, onChange, error }: Props) {
  const id = useId();
  const kinds = ["demo", "file", "pasted"] as const;
  return (
    <fieldset className={css.chooser} aria-describedby={error ? id : undefined}>
      <legend>{what}</legend>
      <div className={css.kinds}>
        {kinds.map((kind) => (
          <label key={kind}>
            <input type="radio" name={`${id}-kind`} checked={choice.kind === kind} onChange={() => onChange({ kind })} />
            {strings.text[kind]}
          </label>
        ))}
      </div>
      {choice.kind === "file" && (
        <div className={css.file}>
          <FileButton
            label={strings.text.chooseFile(what)}
            onChange={(e) => {
              const file = e.target.files?.[0];
              if (file) onChange({ file });
            }}
          />
          <span className={css.name}>{choice.file?.name ?? strings.text.formats}</span>
        </div>
      )}
      {choice.kind === "file" && choice.file && (error || choice.field) && (
        <LabelledField label={strings.text.field} hint={strings.text.fieldHint}>
          {(wired) => <input {...wired} type="text" value={choice.field ?? ""} onChange={(e) => onChange({ field: e.target.value })} />}
        </LabelledField>
      )}
      {choice.kind === "pasted" && (
        <LabelledField label={strings.text.paste(what)}>
          {(wired) => <textarea {...wired} rows={4} value={choice.pasted} onChange={(e) => onChange({ pasted: e.target.value })} />}
        </LabelledField>
      )}
      {error && (
        <p id={id} className={css.error}>
          {error}
        </p>
      )}
    </fieldset>
  );
}
