import { type DragEvent, useState } from "react";
import type { CheckRequest } from "../../store/checking";
import { canCheck } from "../../store/next";
import { checkedOfDrop, checkedOfInput } from "../drop";
import { Alert } from "../parts/Alert";
import { FileButton } from "../parts/Button";
import drop from "../parts/drop.module.css";
import { CheckField } from "../parts/fields";
import { strings } from "../strings";
import { useStudio, useStudioState } from "../studio";
import css from "./check.module.css";
import { Found } from "./Found";

const text = strings.check;
const folderOnly = { webkitdirectory: "" };

/** Checks files instead of opening them. Drops on it are not taken for a model to open. */
export function CheckFiles() {
  const studio = useStudio();
  const ready = useStudioState(canCheck);
  const original = useStudioState((s) => s.model.summary?.label ?? null);
  const verification = useStudioState((s) => s.verification);
  const [beside, setBeside] = useState(true);
  const [over, setOver] = useState(false);
  const [isEmpty, setEmpty] = useState(false);

  function check(given: Omit<CheckRequest, "beside">) {
    setEmpty(!given.files.length);
    if (given.files.length) studio.checkFiles({ ...given, beside: beside && original !== null });
  }

  function onChosen(input: HTMLInputElement) {
    if (input.files?.length) check(checkedOfInput(input.files));
    input.value = ""; // the same files can be chosen again after they were mended
  }

  function onDrag(event: DragEvent, isOver: boolean) {
    event.preventDefault();
    setOver(isOver);
  }

  async function onDrop(event: DragEvent) {
    onDrag(event, false);
    if (ready) check(await checkedOfDrop(event.dataTransfer));
  }

  return (
    <details className={css.check}>
      <summary>{text.title}</summary>
      <fieldset
        aria-label={text.title}
        className={`${drop.target} ${css.target} ${over ? drop.over : ""}`}
        onDragOver={(e) => onDrag(e, true)}
        onDragLeave={(e) => onDrag(e, false)}
        onDrop={onDrop}
      >
        <p className={css.quiet}>{text.what}</p>
        <div className={css.ways}>
          <span>{text.drop}</span>
          <FileButton label={text.files} multiple disabled={!ready} onChange={(e) => onChosen(e.target)} />
          <FileButton label={text.folder} multiple {...folderOnly} disabled={!ready} onChange={(e) => onChosen(e.target)} />
        </div>
        {original === null ? (
          <p className={css.quiet}>{text.noOriginal}</p>
        ) : (
          <CheckField label={text.beside(original)} checked={beside} onChange={setBeside} />
        )}
      </fieldset>
      {isEmpty && <Alert>{text.nothing}</Alert>}
      {verification && <Found verification={verification} />}
    </details>
  );
}
