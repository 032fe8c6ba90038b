/** Sources over the browser's File objects. */
import { fileError, pickFiles } from "./picked";
import { checkRange } from "./source";
import type { Source, SourceFile } from "./types";

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

/** A Source over a FileList or File[]. */
export function filesSource(files: Iterable<File>): Source {
  const picked = pickFiles(files);
  return { label: picked.label, files: picked.files.map(blobFile) };
}
