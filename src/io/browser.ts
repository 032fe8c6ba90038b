/** Sources over the browser's File objects. */
import { fileError, type Picked, pickDirectory, pickDrop, pickFiles } from "./picked";
import { checkRange } from "./source";
import type { Source, SourceFile } from "./types";

export { type Picked, pickDirectory, pickDrop, pickFiles } from "./picked";

/** A File as a SourceFile. The File is a snapshot: the browser itself refuses to read it once the disk has another version. */
export function blobFile(file: File): SourceFile {
  return {
    name: file.name,
    size: file.size,
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

/** A Source over picked files, on whichever side of the worker boundary. */
export function pickedSource(picked: Picked): Source {
  return { label: picked.label, files: picked.files.map(blobFile) };
}

/** A Source over a FileList or File[]. */
export function filesSource(files: Iterable<File>): Source {
  return pickedSource(pickFiles(files));
}

/** A Source over a drop; call it synchronously in the event (see pickDrop). */
export async function dropSource(items: Iterable<DataTransferItem>): Promise<Source> {
  return pickedSource(await pickDrop(items));
}

/** A Source over an opened folder. */
export async function directorySource(handle: FileSystemDirectoryHandle): Promise<Source> {
  return pickedSource(await pickDirectory(handle));
}
