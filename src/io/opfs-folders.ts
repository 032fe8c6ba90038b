/** Folders of the origin's private file system, and who has them: several tabs may be open. */

/** A folder at the top, made where it is not there; null in a browser without one (or in a private window). */
export async function privateFolder(name: string): Promise<FileSystemDirectoryHandle | null> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true });
  } catch {
    return null;
  }
}

export interface Claim {
  release(): Promise<void>;
}

/** Takes a name for this worker; the browser lets it go when the worker ends, however it ends. null: another one has it. */
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
