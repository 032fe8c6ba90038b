import { type DragEvent, type ReactNode, useState } from "react";
import type { Given } from "../../store/opening";
import { filesOfDrop, filesOfInput } from "../drop";
import { Alert } from "./Alert";
import { FileButton } from "./Button";
import css from "./DropTarget.module.css";
import drop from "./drop.module.css";

interface Props {
  /** What the place is for, and what stands before and on its two buttons. */
  texts: { title: string; drop: string; files: string; folder: string; nothing: string };
  disabled: boolean;
  /** Called with one file or more. */
  onGiven(given: Given): void;
  children: ReactNode;
}

const folderOnly = { webkitdirectory: "" };

/** A place to drop files on, or to choose them. Drops on it are not taken for a model to open. */
export function DropTarget({ texts, disabled, onGiven, children }: Props) {
  const [over, setOver] = useState(false);
  const [isEmpty, setEmpty] = useState(false);

  function take(given: Given) {
    setEmpty(!given.files.length);
    if (given.files.length && !disabled) onGiven(given);
  }

  function onChosen(input: HTMLInputElement) {
    if (input.files?.length) take(filesOfInput(input.files));
    input.value = ""; // the same files can be chosen again after they were mended
  }

  function onDrag(event: DragEvent, isOver: boolean) {
    event.preventDefault();
    setOver(isOver);
  }

  async function onDrop(event: DragEvent) {
    onDrag(event, false);
    take(await filesOfDrop(event.dataTransfer));
  }

  return (
    <>
      <fieldset
        aria-label={texts.title}
        className={`${drop.target} ${css.target} ${over ? drop.over : ""}`}
        onDragOver={(e) => onDrag(e, true)}
        onDragLeave={(e) => onDrag(e, false)}
        onDrop={onDrop}
      >
        {children}
        <div className={css.ways}>
          <span>{texts.drop}</span>
          <FileButton label={texts.files} multiple disabled={disabled} onChange={(e) => onChosen(e.target)} />
          <FileButton label={texts.folder} multiple {...folderOnly} disabled={disabled} onChange={(e) => onChosen(e.target)} />
        </div>
      </fieldset>
      {isEmpty && <Alert>{texts.nothing}</Alert>}
    </>
  );
}
