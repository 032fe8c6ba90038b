/** A zip in the browser's private file system, from a worker: the result is a File on disk that can be downloaded at once. */
import { QuantError } from "../errors";
import { blobFile } from "./browser";
import { newPlace, type Place, privateBytes, sweep } from "./opfs-folders";
import { writeError } from "./sink";
import { byteSize, shown } from "./text";
import type { Sink } from "./types";
import { type ZipTarget, zipSink } from "./zip";

/** The part of FileSystemSyncAccessHandle used here. */
export interface SyncHandle {
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

type SyncFileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncHandle> };

/** A file's handle, once nobody else has it: it can stay locked for a moment after a tab has crashed. */
export async function openLocked(file: FileSystemFileHandle, name: string, waitMs = 5000): Promise<SyncHandle> {
  const handle = file as SyncFileHandle;
  const until = Date.now() + waitMs;
  for (;;) {
    try {
      return await handle.createSyncAccessHandle();
    } catch (e) {
      if ((e as { name?: string }).name !== "NoModificationAllowedError") throw e;
      if (Date.now() >= until) {
        throw new QuantError("write-failed", `${shown(name)} is in use`, "Close the other tabs of QEP Studio and try again.", { cause: e });
      }
      await new Promise((ok) => setTimeout(ok, 250));
    }
  }
}

function syncTarget(access: SyncHandle, handle: FileSystemFileHandle, place: Place): ZipTarget {
  let at = 0;
  let open = true;
  const close = () => {
    if (open) access.close();
    open = false;
  };
  return {
    prepare: requireRoom,
    async write(bytes) {
      const written = access.write(bytes as Uint8Array<ArrayBuffer>, { at });
      if (written !== bytes.length) throw new DOMException(`${written} of ${bytes.length} bytes were written`, "QuotaExceededError");
      at += written;
    },
    async close() {
      access.flush();
      close();
    },
    written: async () => blobFile(await handle.getFile()),
    async abort() {
      close();
      await place.remove();
    },
  };
}

/** The room is what the run has left: its blocks are in the same storage, and so are other zips of this page. */
async function requireRoom(bytes: number): Promise<void> {
  const free = await privateBytes();
  if (free === null || free >= bytes) return;
  throw new QuantError(
    "disk-full",
    `the zip takes ${byteSize(bytes)}, and ${byteSize(free)} are free for this page`,
    "Export into a folder, as Chrome and Edge can, free some space, or discard runs that are kept. A reload deletes this page's earlier zips: wait until they are saved.",
  );
}

const zipsFolder = "zips";

/** Deletes the zips of pages that are closed, finished or not. */
export const removeLeftZips = () => sweep(zipsFolder);

export interface OpfsZip {
  readonly sink: Sink;
  /** The zip, once the sink is finished. */
  file(): Promise<File>;
  /**
   * The lock that keeps it. Nobody can tell when the browser has copied a download, so nothing is deleted that this page has made, not even at its next
   * zip: the page takes the lock over from the worker, which may be restarted, and holds it as long as it lives.
   */
  readonly lock: string;
}

/** Starts a zip with the folder `top` in the origin's private file system; only in a dedicated worker. Throws write-failed, disk-full. */
export async function opfsZip(top: string, date?: Date): Promise<OpfsZip> {
  const place = await newPlace(zipsFolder);
  if (!place) throw noFiles();
  try {
    const handle = await place.folder.getFileHandle(place.name, { create: true });
    const access = await openLocked(handle, top);
    return { sink: zipSink(syncTarget(access, handle, place), top, date), file: () => handle.getFile(), lock: place.lock };
  } catch (e) {
    await place.remove().catch(() => {});
    throw writeError(e, `${top}.zip`);
  }
}

const noFiles = () =>
  new QuantError(
    "write-failed",
    "this browser lets the page keep no files, as in a private window",
    "Export into a folder, or open the page in an ordinary window and run it again.",
  );
