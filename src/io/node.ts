/** Folders on disk, under Node: a Source to read, a Sink that appears as a whole or not at all. */
import { randomBytes } from "node:crypto";
import { rmdirSync, rmSync } from "node:fs";
import * as fs from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { QuantError } from "../errors";
import { makeSink, writeError } from "./sink";
import { checkRange, fileChanged } from "./source";
import { shown } from "./text";
import type { Sink, SinkFile, Source, SourceFile } from "./types";

/** fs.read takes at most 2^31 - 1 bytes a call. */
const READ_CHUNK = 2 ** 30;

const errno = (e: unknown) => (e as NodeJS.ErrnoException | undefined)?.code;

function readError(e: unknown, name: string): QuantError {
  if (e instanceof QuantError) return e;
  if (errno(e) === "ENOENT") return fileChanged(name, "it has vanished", e);
  const message = e instanceof Error ? e.message : String(e);
  return new QuantError("bad-file", `${shown(name)}: ${shown(message)}`, "Check that the file may be read.", { cause: e });
}

async function readFully(handle: fs.FileHandle, name: string, start: number, end: number): Promise<Uint8Array> {
  const out = new Uint8Array(end - start);
  for (let at = 0; at < out.length; ) {
    const { bytesRead } = await handle.read(out, at, Math.min(READ_CHUNK, out.length - at), start + at);
    if (bytesRead === 0) throw fileChanged(name, `it ends at byte ${start + at}`);
    at += bytesRead;
  }
  return out;
}

/** A file that must keep the size and modification time given here. It is opened for each read: reads are large, and no handle leaks. */
function diskFile(path: string, size: number, mtimeMs: number, name = basename(path)): SourceFile {
  const check = async (handle: fs.FileHandle) => {
    const now = await handle.stat();
    if (now.size !== size || now.mtimeMs !== mtimeMs)
      throw fileChanged(name, `it had ${size} bytes, now ${now.size}, or was written again`);
  };
  return {
    name,
    size,
    async read(start, end) {
      checkRange(this, start, end);
      let handle: fs.FileHandle | undefined;
      try {
        handle = await fs.open(path, "r");
        await check(handle);
        const bytes = await readFully(handle, name, start, end);
        await check(handle);
        return bytes;
      } catch (e) {
        throw readError(e, name);
      } finally {
        await handle?.close();
      }
    },
  };
}

/** The files of a folder (links to files too, as in the Hugging Face cache; no subfolders). Throws missing-file, bad-file. */
export async function folderSource(dir: string): Promise<Source> {
  const path = resolve(dir);
  try {
    const names = (await fs.readdir(path)).sort();
    const files: SourceFile[] = [];
    for (const name of names) {
      // A dangling link in the folder is only a problem if someone asks for it.
      const stat = await fs.stat(join(path, name)).catch(() => undefined);
      if (stat?.isFile()) files.push(diskFile(join(path, name), stat.size, stat.mtimeMs));
    }
    return { label: basename(path), files };
  } catch (e) {
    if (errno(e) === "ENOENT")
      throw new QuantError("missing-file", `the folder ${shown(dir)} does not exist`, "Check the path.", { cause: e });
    if (errno(e) === "ENOTDIR") throw new QuantError("bad-file", `${shown(dir)} is not a folder`, "Give the model's folder.", { cause: e });
    throw readError(e, dir);
  }
}

/** The files of these names, which may lie in a folder of `dir`. */
async function writtenSource(dir: string, names: readonly string[], label: string): Promise<Source> {
  const files: SourceFile[] = [];
  for (const name of names) {
    const { size, mtimeMs } = await fs.stat(join(dir, name));
    files.push(diskFile(join(dir, name), size, mtimeMs, name));
  }
  return { label, files };
}

/** One file on disk as a SourceFile. Throws missing-file, bad-file. */
export async function diskSourceFile(path: string): Promise<SourceFile> {
  const stat = await fs.stat(path).catch((e) => {
    if (errno(e) === "ENOENT") throw new QuantError("missing-file", shown(path), "Check the path.", { cause: e });
    throw readError(e, path);
  });
  if (!stat.isFile()) throw new QuantError("bad-file", `${shown(path)} is not a file`, "Give the path of a file.");
  return diskFile(resolve(path), stat.size, stat.mtimeMs);
}

/** Whether nothing is at the output's path, an empty folder, or a folder that holds something. */
async function lookAt(path: string): Promise<"free" | "empty" | "full"> {
  try {
    return (await fs.readdir(path)).length ? "full" : "empty";
  } catch (e) {
    if (errno(e) === "ENOENT") return "free";
    if (errno(e) === "ENOTDIR")
      throw new QuantError("output-exists", `${shown(path)} is a file`, "Give another output folder.", { cause: e });
    throw e;
  }
}

function outputExists(path: string): QuantError {
  return new QuantError("output-exists", shown(path), "Give another output folder, or use --force to replace this one.");
}

/** Replacing a folder that is the input, or that contains it, would destroy the model. */
async function checkNotInput(out: string, input: string): Promise<void> {
  const real = (p: string) => fs.realpath(p).catch(() => resolve(p));
  const way = relative(await real(out), await real(input));
  if (way === "" || !(way === ".." || way.startsWith(`..${sep}`) || resolve(way) === way)) {
    throw new QuantError("output-is-input", shown(out), "Give another output folder.");
  }
}

/** Makes the parent folder if need be. Returns a function that removes the folders it made, as long as nobody has put anything there. */
export async function makeParent(parent: string): Promise<() => void> {
  const top = await fs.mkdir(parent, { recursive: true });
  return () => {
    if (top === undefined) return;
    try {
      for (let p = parent; p.length >= top.length; p = dirname(p)) rmdirSync(p);
    } catch {
      // Somebody put something there: it stays, and so do the folders above it.
    }
  };
}

async function openForWriting(path: string): Promise<{ file: SinkFile; dispose: () => Promise<void> }> {
  const handle = await fs.open(path, "wx");
  let open = true;
  const dispose = async () => {
    if (open) await handle.close();
    open = false;
  };
  const file: SinkFile = {
    async write(bytes) {
      for (let at = 0; at < bytes.length; ) {
        at += (await handle.write(bytes, at, Math.min(READ_CHUNK, bytes.length - at))).bytesWritten;
      }
    },
    async close() {
      // Without the sync a power cut after the rename could leave a finished-looking folder of empty files.
      await handle.datasync();
      await dispose();
    },
  };
  return { file, dispose };
}

/** Puts the finished folder in its place; an old one is moved aside first, and only deleted once the new one is in place. */
async function swapIn(temp: string, out: string, force: boolean, token: string): Promise<void> {
  const state = await lookAt(out);
  if (state === "full" && !force) throw outputExists(out);
  if (state === "empty") await fs.rmdir(out);
  if (state !== "full") return fs.rename(temp, out);
  const aside = join(dirname(out), `.${basename(out)}.replaced-${token}`);
  await fs.rename(out, aside);
  try {
    await fs.rename(temp, out);
  } catch (e) {
    await fs.rename(aside, out);
    throw e;
  }
  await fs.rm(aside, { recursive: true, force: true });
}

export interface FolderSinkOptions {
  /** Replace a non-empty output folder, at finish. */
  readonly force?: boolean;
  /** Where it is written until it is finished: a hidden folder beside the output, unless it is named here. Emptied at the start. */
  readonly temporary?: string;
  /** The model's folder, refused as output (`output-is-input`), as are the folders that contain it. */
  readonly input?: string;
}

export interface FolderSink extends Sink {
  /** For a process that is about to exit: removes the unfinished output, synchronously. Returns false where it cannot be done at this moment. */
  discardNow(): boolean;
}

/**
 * A Sink that writes into a hidden folder beside `outDir` and renames it at finish; abort leaves nothing behind.
 * Throws output-exists, output-is-input, disk-full, write-failed.
 */
export async function folderSink(outDir: string, options: FolderSinkOptions = {}): Promise<FolderSink> {
  const out = resolve(outDir);
  const token = randomBytes(4).toString("hex");
  const temp = options.temporary ?? join(dirname(out), `.${basename(out)}.partial-${token}`);
  let unmakeParent = () => {};
  let dispose = async () => {};
  let state: "unfinished" | "moving" | "finished" = "unfinished";
  const written: string[] = [];
  const sink = makeSink({
    async open(name) {
      const path = join(temp, name);
      if (name.includes("/")) await fs.mkdir(dirname(path), { recursive: true });
      const opened = await openForWriting(path);
      dispose = opened.dispose;
      written.push(name);
      return opened.file;
    },
    async finish(check) {
      await check(() => writtenSource(temp, written, basename(out)));
      // Between its two renames the folder that is being replaced is under a temporary name: the process must not exit then.
      state = "moving";
      try {
        await swapIn(temp, out, options.force === true, token);
        state = "finished";
      } finally {
        if (state === "moving") state = "unfinished";
      }
    },
    async abort() {
      await dispose();
      await fs.rm(temp, { recursive: true, force: true });
      unmakeParent();
    },
  });
  await prepare(out, options, async () => {
    unmakeParent = await makeParent(dirname(out));
    await fs.rm(temp, { recursive: true, force: true });
    await fs.mkdir(temp, { recursive: true }).catch(async (e) => {
      unmakeParent();
      throw e;
    });
  });
  return {
    ...sink,
    discardNow() {
      if (state === "moving") return false;
      if (state === "finished") return true;
      try {
        rmSync(temp, { recursive: true, force: true });
        unmakeParent();
        return true;
      } catch {
        // Some systems cannot remove an open file: the job's own abort closes it first.
        return false;
      }
    },
  };
}

async function prepare(out: string, options: FolderSinkOptions, make: () => Promise<void>): Promise<void> {
  if (options.input !== undefined) await checkNotInput(out, options.input);
  try {
    if ((await lookAt(out)) === "full" && !options.force) throw outputExists(out);
    await make();
  } catch (e) {
    throw writeError(e, out);
  }
}
