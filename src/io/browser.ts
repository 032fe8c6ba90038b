/** Sources over the browser's File objects. */
import { QuantError } from "../errors";
import { checkRange, fileChanged } from "./source";
import { shown } from "./text";
import type { GivenFile, Source, SourceFile } from "./types";

/** A File as a SourceFile. The File is a snapshot: the browser itself refuses to read it once the disk has another version. */
export function blobFile(file: File): SourceFile {
  return {
    name: file.name,
    size: file.size,
    version: String(file.lastModified),
    async read(start, end) {
      checkRange(this, start, end);
      try {
        return new Uint8Array(await file.slice(start, end).arrayBuffer());
      } catch (e) {
        throw fileError(e, file.name);
      }
    },
  };
}

/** A Source over the files that a person gave. */
export const givenSource = (files: readonly GivenFile[], label: string): Source => ({
  label,
  files: files.map(({ path, file }) => ({ ...blobFile(file), name: path })),
});

/** A browser's file error: changed or vanished files are `file-changed`, the rest `bad-file`. */
function fileError(e: unknown, name: string): QuantError {
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
