import { useState } from "react";
import { canCheck } from "../../store/next";
import type { Given } from "../../store/opening";
import { DropTarget } from "../parts/DropTarget";
import { CheckField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./check.module.css";
import { Found } from "./Found";

const text = strings.check;

/** Checks files instead of opening them. */
export function CheckFiles() {
  const studio = useStudio();
  const ready = useStudioState(canCheck);
  const original = useStudioState((s) => s.model.summary?.label ?? null);
  const verification = useStudioState((s) => s.verification);
  // Whatever is open need not be what the file was made from.
  const [beside, setBeside] = useState(false);

  function check(given: Given) {
    const label = given.files.length > 1 ? given.label : given.files[0].path;
    studio.checkFiles({ ...given, label, beside: beside && original !== null });
  }

  return (
    <details className={css.check}>
      <summary>{text.title}</summary>
      <div className={css.place}>
        <DropTarget texts={text} disabled={!ready} onGiven={check}>
          <p className={css.quiet}>{text.what}</p>
          {original === null ? (
            <p className={css.quiet}>{text.noOriginal}</p>
          ) : (
            <CheckField label={text.beside(original)} checked={beside} onChange={setBeside} />
          )}
        </DropTarget>
      </div>
      {verification && <Found verification={verification} />}
    </details>
  );
}
