/** From what a browser gives (input, drop, directory handle) to plain files. `Picked` can be posted to a worker; a Source cannot. */
import { QuantError } from "../errors";
import { fileChanged } from "./source";
import { shown } from "./text";

/** Files a person chose, with the folder's name; structured-cloneable. */
export interface Picked {
  readonly label: string;
  readonly files: readonly File[];
}

const LOOSE = "the chosen files";

/** A browser's file error: changed or vanished files are `file-changed`, the rest `bad-file`. */
export function fileError(e: unknown, name: string): QuantError {
  if (e instanceof QuantError) return e;
  const { name: kind, message } = (e ?? {}) as { name?: string; message?: string };
  if (kind === "NotReadableError" || kind === "NotFoundError") return fileChanged(name, "it cannot be read any more", e);
  return new QuantError(
    "bad-file",
    `${shown(name)}: ${shown(String(message ?? e))}`,
    "Check that the file may be read, then choose it again.",
    { cause: e },
  );
}

/** Files of an <input type=file>, with or without webkitdirectory. Files in subfolders are left out: a checkpoint is one folder. */
export function pickFiles(files: Iterable<File>): Picked {
  const all = [...files];
  const top = all.filter((f) => (f.webkitRelativePath ?? "").split("/").length <= 2);
  const folder = all.find((f) => f.webkitRelativePath?.includes("/"))?.webkitRelativePath.split("/")[0];
  return { label: folder ?? LOOSE, files: top };
}

/** The files of a folder the person opened with showDirectoryPicker or dropped; subfolders are left out. */
export async function pickDirectory(handle: FileSystemDirectoryHandle): Promise<Picked> {
  const files: File[] = [];
  try {
    for await (const entry of handle.values()) {
      if (entry.kind === "file") files.push(await (entry as FileSystemFileHandle).getFile());
    }
  } catch (e) {
    throw fileError(e, handle.name);
  }
  return { label: handle.name, files };
}

/** One dropped thing, by whichever way the browser offers. */
interface Dropped {
  handle: Promise<FileSystemHandle | null>;
  entry: FileSystemEntry | null;
  file: File | null;
}

type HandleItem = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

function grab(item: HandleItem): Dropped {
  // Old browsers lack handles, and made-up drops (tests, some extensions) reject them: the entry or the file serves then.
  const handle = item.getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null);
  return { handle, entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() };
}

/** readEntries gives at most 100 at a time in Chrome; only an empty batch is the end. */
async function listEntries(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const out: FileSystemEntry[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((ok, fail) => reader.readEntries(ok, fail));
    if (batch.length === 0) return out;
    out.push(...batch);
  }
}

async function pickEntryFolder(folder: FileSystemDirectoryEntry): Promise<Picked> {
  try {
    const files = (await listEntries(folder)).filter((e) => e.isFile) as FileSystemFileEntry[];
    return { label: folder.name, files: await Promise.all(files.map((f) => new Promise<File>((ok, fail) => f.file(ok, fail)))) };
  } catch (e) {
    throw fileError(e, folder.name);
  }
}

async function resolveDropped(d: Dropped): Promise<Picked> {
  const handle = await d.handle;
  if (handle?.kind === "directory") return pickDirectory(handle as FileSystemDirectoryHandle);
  if (d.entry?.isDirectory) return pickEntryFolder(d.entry as FileSystemDirectoryEntry);
  return { label: "", files: d.file ? [d.file] : [] };
}

/**
 * The files of a drop: one folder, loose files, or both. Call it synchronously in the drop event: the browser empties the
 * items as soon as the handler returns. Throws file-changed, bad-file.
 */
export async function pickDrop(items: Iterable<DataTransferItem>): Promise<Picked> {
  const dropped = [...items].filter((i) => i.kind === "file").map(grab);
  const parts = await Promise.all(dropped.map(resolveDropped));
  return { label: parts.find((p) => p.label)?.label ?? LOOSE, files: parts.flatMap((p) => p.files) };
}
