/** Folders on disk, under Node: a Source to read, a Sink that appears as a whole or not at all. */
import { randomBytes } from "node:crypto";
import { existsSync, rmdirSync, rmSync, statSync } from "node:fs";
import * as fs from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { QuantError } from "../errors";
import { entriesBeside, moveInto, undoMoves } from "./node-place";
import { explained, makeSink } from "./sink";
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

/** Whether nothing is at the output's path, an empty folder, or a folder that holds something beside our own work. */
async function lookAt(path: string, work: string): Promise<"free" | "empty" | "full"> {
  try {
    return (await entriesBeside(path, work)).length ? "full" : "empty";
  } catch (e) {
    if (errno(e) === "ENOENT") return "free";
    throw e;
  }
}

/** Looks at an output's path before anything is made there. @throws QuantError `output-exists` for a file, `output-is-input`, `write-failed`. */
export async function checkOutput(out: string, input?: string): Promise<void> {
  if (input !== undefined) await checkNotInput(out, input);
  const path = resolve(out);
  for (let at = path; ; at = dirname(at)) {
    const stat = await fs.stat(at).catch(() => null);
    if (stat?.isDirectory() || (stat === null && at === dirname(at))) return;
    if (stat && at === path) throw new QuantError("output-exists", `${shown(out)} is a file`, "Give another output folder.");
    if (stat) throw new QuantError("write-failed", `${shown(out)}: ${shown(at)} is a file, not a folder`, "Give another output folder.");
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
  const made: string[] = [];
  const unmake = () => {
    try {
      for (const folder of made.reverse()) rmdirSync(folder);
    } catch {
      // Somebody put something there: it stays, and so do the folders above it.
    }
  };
  try {
    // Node's own recursive mkdir never ends in /proc, which says that a folder is missing where none can be made.
    for (const folder of missingFolders(parent))
      await fs.mkdir(folder).then(
        () => made.push(folder),
        (e) => {
          if (errno(e) !== "EEXIST") throw e;
        },
      );
  } catch (e) {
    unmake();
    throw e;
  }
  return unmake;
}

/** The folders on the way to this one that are not there, the uppermost first. */
function missingFolders(path: string): string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  return missing;
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

/** Puts the finished folder in its place, or its files into the folder that is there. */
async function swapIn(temp: string, out: string, force: boolean): Promise<void> {
  const state = await lookAt(out, temp);
  if (state === "full" && !force) throw outputExists(out);
  if (state === "free") await fs.rename(temp, out);
  else await moveInto(out, temp, movesOf(temp));
}

/** Where moves into the output are noted. */
const movesOf = (temp: string) => `${temp}.moves`;

/** A folder of this name in the output where that is there, which may be another file system than what is around it; else beside it. */
export function workFolder(out: string, name: string): string {
  const path = resolve(out);
  const beside = join(dirname(path), `.${basename(path)}.${name}`);
  const disk = (folder: string) => (existsSync(folder) ? statSync(folder).dev : null);
  // One that was made when the output was not there goes on, if files can be moved from it.
  return !existsSync(path) || disk(beside) === disk(path) ? beside : join(path, `.${name}`);
}

export interface FolderSinkOptions {
  /** Replace a non-empty output folder, at finish. */
  readonly force?: boolean;
  /** Where it is written until it is finished: a hidden folder in the output or beside it, unless it is named here. Emptied at the start. */
  readonly temporary?: string;
  /** The model's folder, refused as output (`output-is-input`), as are the folders that contain it. */
  readonly input?: string;
}

export interface FolderSink extends Sink {
  /** For a process that is about to exit: removes the unfinished output, synchronously. Returns false where it cannot be done at this moment. */
  discardNow(): boolean;
}

/**
 * A Sink that writes into a hidden folder, which becomes `outDir` at finish; where that is there, it gets the files. Abort leaves nothing behind.
 * Throws output-exists, output-is-input, disk-full, write-failed.
 */
export async function folderSink(outDir: string, options: FolderSinkOptions = {}): Promise<FolderSink> {
  const out = resolve(outDir);
  const temp = options.temporary ?? workFolder(out, `partial-${randomBytes(4).toString("hex")}`);
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
      // What is being replaced is elsewhere for a moment: the process must not exit then.
      state = "moving";
      try {
        await swapIn(temp, out, options.force === true);
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
  await checkOutput(out, options.input);
  await explained(out, async () => {
    await undoMoves(out, movesOf(temp));
    if ((await lookAt(out, temp)) === "full" && !options.force) throw outputExists(out);
    unmakeParent = await makeParent(dirname(temp));
    await fs.rm(temp, { recursive: true, force: true });
    await fs.mkdir(temp).catch((e) => {
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
