/** Scratch in the browser's private file system, from a worker. */
import { openLocked } from "./opfs";
import { noScratchFile, type Scratch, scratchError } from "./scratch";

/** The ending of the empty file that marks another as complete. (Not every browser can rename a finished file into place.) */
const complete = ".ok";

/** @param folder appears with its first file. */
export function opfsScratch(parent: FileSystemDirectoryHandle, folder: string): Scratch {
  const directory = (create: boolean) => parent.getDirectoryHandle(folder, { create });

  async function put(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const handle = await (await directory(true)).getFileHandle(name, { create: true });
    const access = await openLocked(handle, name);
    try {
      access.truncate(0);
      let at = 0;
      for (const part of parts) {
        const written = access.write(part as Uint8Array<ArrayBuffer>, { at });
        if (written !== part.length) throw new DOMException(`${written} of ${part.length} bytes were written`, "QuotaExceededError");
        at += written;
      }
      access.flush();
    } finally {
      access.close();
    }
  }

  const names = async () => {
    const found: string[] = [];
    try {
      for await (const name of (await directory(false)).keys()) found.push(name);
    } catch {
      // No folder: nothing was written.
    }
    return found;
  };

  return {
    async write(name, parts) {
      try {
        await this.remove(name);
        await put(name, parts);
        await put(name + complete, []);
      } catch (e) {
        throw scratchError(e, name);
      }
    },
    async read(name, start = 0, end) {
      const handle = await (await directory(false)).getFileHandle(name).catch(() => {
        throw noScratchFile(name);
      });
      const file = await handle.getFile();
      return new Uint8Array(await file.slice(start, end ?? file.size).arrayBuffer());
    },
    async names() {
      const all = await names();
      return all.filter((name) => !name.endsWith(complete) && all.includes(name + complete));
    },
    async remove(name) {
      const folderHandle = await directory(false).catch(() => null);
      for (const each of [name + complete, name]) await folderHandle?.removeEntry(each).catch(() => {});
    },
    clear: () => parent.removeEntry(folder, { recursive: true }).catch(() => {}),
  };
}
