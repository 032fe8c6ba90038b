import { QuantError } from "../errors";
import { writeError } from "./sink";

/**
 * A private folder for what a run needs again later: in memory, in the browser's private file system, or on disk. Names are plain file names. A file
 * is written in one call: after a crash it is there whole or not at all.
 */
export interface Scratch {
  /** The parts one after the other, under a name that is not in use. Throws disk-full, write-failed. */
  write(name: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Bytes [start, end), or all, in a buffer of their own. Throws `internal` for a file that is not there. */
  read(name: string, start?: number, end?: number): Promise<Uint8Array>;
  names(): Promise<string[]>;
  /** Does nothing if there is no such file. */
  remove(name: string): Promise<void>;
  /** Removes the folder with all that is in it. */
  clear(): Promise<void>;
}

export const noScratchFile = (name: string) =>
  new QuantError("internal", `the scratch file ${name} is not there`, "Please report this with the steps that led here.");

/** `writeError` for scratch: a full disk stops a run, but what is kept of it can be resumed. */
export function scratchError(e: unknown, name: string): QuantError {
  const error = writeError(e, name);
  if (error.code !== "disk-full") return error;
  const hint = "Free some space, then resume it: the blocks that are done are kept.";
  return new QuantError("disk-full", "the run's next block cannot be kept", hint, { cause: e });
}

/** The parts as one array. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function memoryScratch(): Scratch {
  const files = new Map<string, Uint8Array>();
  return {
    async write(name, parts) {
      files.set(name, joined(parts));
    },
    async read(name, start = 0, end) {
      const bytes = files.get(name);
      if (!bytes) throw noScratchFile(name);
      return bytes.slice(start, end);
    },
    names: async () => [...files.keys()],
    async remove(name) {
      files.delete(name);
    },
    async clear() {
      files.clear();
    },
  };
}
