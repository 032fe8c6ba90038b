/** Scratch on disk, under Node. */
import * as fs from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { QuantError } from "../errors";
import { makeParent } from "./node";
import { noScratchFile, type Scratch, scratchError } from "./scratch";
import { writeError } from "./sink";

/** fs.read and fs.write take at most 2^31 - 1 bytes a call. */
const mostAtOnce = 2 ** 30;
/** Ends the names of files that are still being written. */
const unfinished = ".new";
/** Holds the number of the process that has claimed the folder. */
const lockFile = "lock";

/** The folder appears with its first file. */
export function folderScratch(folder: string): Scratch {
  const path = (name: string) => join(folder, name);
  return {
    async write(name, parts) {
      try {
        await fs.mkdir(folder, { recursive: true });
        await writeWhole(path(name) + unfinished, parts);
        await fs.rename(path(name) + unfinished, path(name));
      } catch (e) {
        throw scratchError(e, name);
      }
    },
    async read(name, start = 0, end) {
      const handle = await fs.open(path(name), "r").catch(() => {
        throw noScratchFile(name);
      });
      try {
        const bytes = new Uint8Array((end ?? (await handle.stat()).size) - start);
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await handle.read(bytes, at, Math.min(mostAtOnce, bytes.length - at), start + at);
          if (bytesRead === 0) throw noScratchFile(name);
          at += bytesRead;
        }
        return bytes;
      } finally {
        await handle.close();
      }
    },
    names: async () => (await fs.readdir(folder).catch(() => [])).filter((name) => !name.endsWith(unfinished)),
    remove: (name) => fs.rm(path(name), { force: true }),
    clear: () => fs.rm(folder, { recursive: true, force: true }),
  };
}

/** Bytes free on the disk of a folder that need not be there yet; null where the system does not tell. */
export async function freeBytes(folder: string): Promise<number | null> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await fs.statfs(at);
      return bavail * bsize;
    } catch {
      if (dirname(at) === at) return null;
    }
  }
}

async function writeWhole(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await fs.open(path, "w");
  try {
    for (const part of parts)
      for (let at = 0; at < part.length; ) at += (await handle.write(part, at, Math.min(mostAtOnce, part.length - at))).bytesWritten;
    // Without the sync a power cut after the rename could leave an empty file under the name.
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/**
 * Takes a folder for this process alone; the lock of a process that is gone does not count. Returns a function that releases it, and removes the
 * folder if nothing but the lock is in it, and parents made for it. @throws QuantError `run-exists` while another process has it, write-failed.
 */
export async function claimFolder(folder: string): Promise<() => Promise<void>> {
  const lock = join(folder, lockFile);
  let unmakeParent = () => {};
  try {
    unmakeParent = await makeParent(dirname(folder));
    await fs.mkdir(folder).catch((e) => {
      if (e.code !== "EEXIST") throw e;
    });
    await fs.writeFile(lock, String(process.pid), { flag: "wx" }).catch(async (e) => {
      if (e.code !== "EEXIST") throw e;
      const pid = Number(await fs.readFile(lock, "utf8"));
      if (isAlive(pid))
        throw new QuantError("run-exists", `process ${pid} is working on it`, "Wait for it, end it, or give another output folder.");
      await fs.writeFile(lock, String(process.pid));
    });
  } catch (e) {
    throw writeError(e, folder);
  }
  return async () => {
    await fs.rm(lock, { force: true });
    // Fails where a run is kept.
    await fs.rmdir(folder).catch(() => {});
    unmakeParent();
  };
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    // The process exists, but belongs to another user.
    return (e as NodeJS.ErrnoException).code === "EPERM";
  }
}
