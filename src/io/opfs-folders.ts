/** Folders of the origin's private file system, and locks on them: several tabs may be open. */

/** A top-level folder, created if it does not exist; null in a browser without one (or in a private window). */
export async function privateFolder(name: string): Promise<FileSystemDirectoryHandle | null> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true });
  } catch {
    return null;
  }
}

/** What Chromium says is free whatever there is, unless the disk has less: the truth would tell visitors apart. */
const saidToEverybody = 10 * 2 ** 30;

/** Bytes that the origin may still store; null where the browser does not tell, or has no private file system. */
export async function privateBytes(): Promise<number | null> {
  try {
    await navigator.storage.getDirectory();
    const { quota = Number.NaN, usage = Number.NaN } = await navigator.storage.estimate();
    const free = Math.max(0, quota - usage);
    return Number.isNaN(free) || free === saidToEverybody ? null : free;
  } catch {
    return null;
  }
}

export interface Claim {
  release(): Promise<void>;
}

/** Locks a name for this worker; the browser releases it whenever the worker ends. null: another worker holds it. Without the Web Locks API every claim succeeds. */
export function claim(name: string): Promise<Claim | null> {
  const { locks } = navigator;
  if (!locks) return Promise.resolve({ release: async () => {} });
  return new Promise((resolve, reject) => {
    const held = locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(null);
      return new Promise<void>((end) => {
        resolve({
          async release() {
            end();
            await held;
          },
        });
      });
    });
    held.catch(reject);
  });
}

/** A new name in a top-level folder, locked for this worker. */
export interface Place {
  readonly folder: FileSystemDirectoryHandle;
  readonly name: string;
  /** The name of its lock. */
  readonly lock: string;
  /** Deletes what is under the name, and unlocks it. */
  remove(): Promise<void>;
}

const lockOn = (folder: string, name: string) => `${folder}/${name}`;

/** Removes what lies in a top-level folder and nobody has locked: the pages that it was for are closed. Returns the folder; null where there is none. */
export async function sweep(folderName: string): Promise<FileSystemDirectoryHandle | null> {
  const folder = await privateFolder(folderName);
  if (!folder) return null;
  for await (const name of folder.keys()) {
    const left = await claim(lockOn(folderName, name));
    // What cannot be removed now is tried again the next time.
    if (left) await folder.removeEntry(name, { recursive: true }).catch(() => {});
    await left?.release();
  }
  return folder;
}

/** Sweeps a top-level folder and claims a name in it that was never used before; null where there is no private file system. */
export async function newPlace(folderName: string): Promise<Place | null> {
  const folder = await sweep(folderName);
  if (!folder) return null;
  const name = crypto.randomUUID();
  const lock = lockOn(folderName, name);
  const claimed = await claim(lock);
  return {
    folder,
    name,
    lock,
    async remove() {
      try {
        await folder.removeEntry(name, { recursive: true });
      } finally {
        await claimed?.release();
      }
    },
  };
}
