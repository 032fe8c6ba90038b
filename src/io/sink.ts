/** What every sink shares: order, names, exact sizes, one kind of error. A platform only opens, writes, closes, removes. */
import { misuse, QuantError } from "../errors";
import { isPlainPath, shown } from "./text";
import type { Sink, SinkFile, Source } from "./types";

/** The platform's part. None of these needs to check anything; anything they throw is explained by makeSink. */
export interface SinkBackend {
  /** Left out where the room was looked at before, or nobody can tell. */
  prepare?(bytes: number): Promise<void>;
  open(name: string, size: number): Promise<SinkFile>;
  /** Calls `check` with how to read what was written, as soon as that can be done and before it cannot be undone. */
  finish(check: (written: () => Promise<Source>) => Promise<void>): Promise<void>;
  /** Removes everything, also after a `finish` that failed, the half-written file included. */
  abort(): Promise<void>;
}

const FULL = new Set(["ENOSPC", "EDQUOT", "QuotaExceededError"]);

/** A platform's write error as `disk-full` or `write-failed`; a QuantError stays what it is. */
export function writeError(e: unknown, name: string): QuantError {
  if (e instanceof QuantError) return e;
  const { code, name: kind, message } = (e ?? {}) as { code?: unknown; name?: unknown; message?: unknown };
  if (FULL.has(String(code)) || FULL.has(String(kind))) {
    return new QuantError("disk-full", shown(name), "Free some space or choose another folder, then start again.", { cause: e });
  }
  const where = `${shown(name)}: ${shown(String(message ?? e))}`;
  return new QuantError("write-failed", where, "Check that the folder still exists and may be written to.", { cause: e });
}

/** Does `work`, whose errors are those of writing under that name. @throws QuantError `disk-full`, `write-failed`. */
export async function explained<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (e) {
    throw writeError(e, name);
  }
}

/** Counts a file's bytes: a file of another size than announced would be a checkpoint that lies about itself. */
function exactly(name: string, size: number, file: SinkFile, usable: () => boolean, closed: () => void): SinkFile {
  let written = 0;
  let open = true;
  const check = (more: number) => {
    if (!open || !usable()) throw misuse(`${shown(name)} was written to after it was closed`);
    if (written + more > size) throw misuse(`${shown(name)} was announced with ${size} bytes but gets ${written + more}`);
  };
  return {
    async write(bytes) {
      check(bytes.length);
      written += bytes.length;
      await explained(name, () => file.write(bytes));
    },
    async close() {
      check(0);
      if (written !== size) throw misuse(`${shown(name)} was announced with ${size} bytes but got ${written}`);
      open = false;
      await explained(name, () => file.close());
      closed();
    },
  };
}

/** A Sink over a platform. Throws disk-full, write-failed; internal when the caller breaks the contract. */
export function makeSink(backend: SinkBackend): Sink {
  const names = new Set<string>();
  const folders = new Set<string>();
  let state: "idle" | "writing" | "finishing" | "finished" | "aborted" = "idle";
  return {
    prepare: (bytes) => explained("the output", async () => backend.prepare?.(bytes)),
    async create(name, size) {
      if (state !== "idle") throw misuse(`${shown(name)} was created while the sink was ${state}`);
      // Case-insensitive disks would silently merge two names that differ in case only.
      const key = name.toLowerCase();
      const folder = key.includes("/") ? key.slice(0, key.indexOf("/")) : null;
      if (!isPlainPath(name) || names.has(key) || folders.has(key) || (folder !== null && names.has(folder)))
        throw misuse(`the output file name ${shown(name)} is unsafe or used twice`);
      if (!Number.isSafeInteger(size) || size < 0) throw misuse(`${shown(name)} was announced with ${size} bytes`);
      names.add(key);
      if (folder !== null) folders.add(folder);
      state = "writing";
      const file = await explained(name, () => backend.open(name, size));
      return exactly(
        name,
        size,
        file,
        () => state === "writing",
        () => {
          if (state === "writing") state = "idle";
        },
      );
    },
    async finish(check) {
      if (state !== "idle") throw misuse(`the sink was finished while ${state}`);
      state = "finishing";
      await explained("the output folder", () =>
        backend.finish(async (written) => {
          if (check) await check(await written());
        }),
      );
      state = "finished";
    },
    async abort() {
      // After finish the result belongs to the person; a second abort has nothing left to do.
      if (state === "finished" || state === "aborted") return;
      state = "aborted";
      await explained("the unfinished output", () => backend.abort());
    },
  };
}
