/** From what a browser's file chooser gives to the files of one folder. */
import { QuantError } from "../errors";
import { fileChanged } from "./source";
import { shown } from "./text";

/** Files a person chose, with the folder's name; structured-cloneable. */
export interface Picked {
  readonly label: string;
  readonly files: readonly File[];
}

const LOOSE = "the chosen files";

/** A browser's file error: changed or vanished files are `file-changed`, the rest `bad-file`. */
export function fileError(e: unknown, name: string): QuantError {
  if (e instanceof QuantError) return e;
  const { name: kind, message } = (e ?? {}) as { name?: string; message?: string };
  if (kind === "NotReadableError" || kind === "NotFoundError") return fileChanged(name, "it cannot be read any more", e);
  return new QuantError(
    "bad-file",
    `${shown(name)}: ${shown(String(message ?? e))}`,
    "Check that the file may be read, then choose it again.",
    { cause: e },
  );
}

/** Files of an <input type=file>, with or without webkitdirectory. Files in subfolders are left out: a checkpoint is one folder. */
export function pickFiles(files: Iterable<File>): Picked {
  const all = [...files];
  const top = all.filter((f) => (f.webkitRelativePath ?? "").split("/").length <= 2);
  const folder = all.find((f) => f.webkitRelativePath?.includes("/"))?.webkitRelativePath.split("/")[0];
  return { label: folder ?? LOOSE, files: top };
}
