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
