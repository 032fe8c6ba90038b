/** A Sink into a folder that the person chose in the browser. */
import { QuantError } from "../errors";
import { blobFile } from "./browser";
import { makeSink, writeError } from "./sink";
import { isPlainName, shown } from "./text";
import type { Sink, SinkFile, SourceFile } from "./types";

/** Chrome's writables are slow per call (on Windows above all): small tensors are gathered up to this many bytes. */
const GATHER = 4 * 2 ** 20;

/** Gathers small writes into large ones, in a buffer of its own, because the caller may reuse its bytes at once. */
export function gathered(file: SinkFile, limit = GATHER): SinkFile {
  let buffer = new Uint8Array(0);
  let held = 0;
  const flush = async () => {
    if (held) await file.write(buffer.subarray(0, held));
    held = 0;
  };
  return {
    async write(bytes) {
      if (held + bytes.length > limit) await flush();
      if (bytes.length >= limit) return file.write(bytes);
      if (buffer.length === 0) buffer = new Uint8Array(limit);
      buffer.set(bytes, held);
      held += bytes.length;
    },
    async close() {
      await flush();
      await file.close();
    },
  };
}

/** The subfolder, made if need be. Throws `output-exists` when it holds anything. */
async function takeFolder(parent: FileSystemDirectoryHandle, name: string): Promise<FileSystemDirectoryHandle> {
  const folder = await parent.getDirectoryHandle(name, { create: true });
  for await (const _ of folder.keys()) {
    throw new QuantError("output-exists", `${shown(parent.name)}/${shown(name)}`, "Choose another folder or another name.");
  }
  return folder;
}

/** The handle of a file that may lie in a folder of `root`; with `create`, both are made if need be. */
async function fileHandle(root: FileSystemDirectoryHandle, path: string, create = false): Promise<FileSystemFileHandle> {
  const parts = path.split("/");
  const name = parts.pop()!;
  let folder = root;
  for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
  return folder.getFileHandle(name, { create });
}

/**
 * A Sink into the subfolder `name` of a folder the person chose; each file appears when it is closed, and abort removes
 * the subfolder. Throws output-exists, disk-full, write-failed.
 */
export async function directorySink(parent: FileSystemDirectoryHandle, name: string): Promise<Sink> {
  if (!isPlainName(name))
    throw new QuantError("write-failed", `"${shown(name)}" is not a folder name`, "Choose a plain name without slashes.");
  const folder = await takeFolder(parent, name).catch((e) => {
    throw writeError(e, name);
  });
  const written: string[] = [];
  let current: FileSystemWritableFileStream | undefined;
  return makeSink({
    async open(fileName) {
      const handle = await fileHandle(folder, fileName, true);
      const stream = await handle.createWritable();
      current = stream;
      return gathered({
        write: (bytes) => stream.write(bytes as Uint8Array<ArrayBuffer>),
        async close() {
          await stream.close();
          current = undefined;
          written.push(fileName);
        },
      });
    },
    async finish(check) {
      await check(async () => {
        const files: SourceFile[] = [];
        for (const each of written) files.push({ ...blobFile(await (await fileHandle(folder, each)).getFile()), name: each });
        return { label: name, files };
      });
    },
    async abort() {
      // A stream that already failed cannot be aborted again; what matters is that the folder goes.
      await current?.abort().catch(() => {});
      await parent.removeEntry(name, { recursive: true });
    },
  });
}
