/** A zip in the browser's private file system, from a worker: the result is a File on disk that can be downloaded at once. */
import { QuantError } from "../errors";
import { blobFile } from "./browser";
import { writeError } from "./sink";
import { shown } from "./text";
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

function syncTarget(access: SyncHandle, handle: FileSystemFileHandle, remove: () => Promise<void>): ZipTarget {
  let at = 0;
  let open = true;
  const close = () => {
    if (open) access.close();
    open = false;
  };
  return {
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
      await remove();
    },
  };
}

export interface OpfsZip {
  readonly sink: Sink;
  /** The zip, once the sink is finished. */
  file(): Promise<File>;
  /** Deletes it, after the download. */
  remove(): Promise<void>;
}

export interface OpfsZipOptions {
  /** The folder inside the zip. */
  readonly top: string;
  readonly date?: Date;
  /** Given by tests; the origin's private folder otherwise. */
  readonly root?: FileSystemDirectoryHandle;
  /** How long to wait for a locked file. */
  readonly waitMs?: number;
}

/** Starts a zip called `name` in the origin's private file system; only in a dedicated worker. Throws write-failed, disk-full. */
export async function opfsZip(name: string, options: OpfsZipOptions): Promise<OpfsZip> {
  try {
    const root = options.root ?? (await navigator.storage.getDirectory());
    const handle = await root.getFileHandle(name, { create: true });
    const access = await openLocked(handle, name, options.waitMs);
    access.truncate(0);
    const remove = () => root.removeEntry(name);
    const sink = zipSink(syncTarget(access, handle, remove), options.top, options.date);
    return { sink, file: () => handle.getFile(), remove };
  } catch (e) {
    throw writeError(e, name);
  }
}
