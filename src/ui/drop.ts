/** The files of a drop or a file input: loose files, or those of a folder but not of its subfolders. */

export interface Dropped {
  files: File[];
  /** The folder's name, or a name from the loose files. */
  label: string;
}

/** The dropped files. Must be called while the drop event is handled: its items are gone afterwards. */
export async function filesOfDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.length) return loose([...transfer.files]);
  const folder = entries.find((entry) => entry.isDirectory) as FileSystemDirectoryEntry | undefined;
  const chosen = folder ? await childrenOf(folder) : entries;
  const files = await Promise.all(chosen.filter((entry) => entry.isFile).map((entry) => fileOf(entry as FileSystemFileEntry)));
  return folder ? { files, label: folder.name } : loose(files);
}

/** From `<input type="file">`, with or without `webkitdirectory`. */
export function filesOfInput(list: FileList): Dropped {
  const all = [...list];
  const folder = all[0]?.webkitRelativePath.split("/")[0];
  if (!folder) return loose(all);
  return { files: all.filter((file) => file.webkitRelativePath.split("/").length === 2), label: folder };
}

/** A file by its path in the folder that was given: a name, or onnx/ and a name. */
interface Placed {
  path: string;
  file: File;
}

const graphs = "onnx";

/** The dropped files to be checked: as `filesOfDrop`, with those of a folder's onnx folder. */
export async function checkedOfDrop(transfer: DataTransfer): Promise<{ files: Placed[]; label: string }> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const folder = entries.find((entry) => entry.isDirectory) as FileSystemDirectoryEntry | undefined;
  if (!folder) {
    const { files, label } = entries.length
      ? loose(await Promise.all(entries.map((entry) => fileOf(entry as FileSystemFileEntry))))
      : loose([...transfer.files]);
    return checkedLoose(files, label);
  }
  const children = await childrenOf(folder);
  const inner = children.find(({ isDirectory, name }) => isDirectory && name === graphs) as FileSystemDirectoryEntry | undefined;
  const placed = (prefix: string, list: readonly FileSystemEntry[]) =>
    list
      .filter((entry) => entry.isFile)
      .map(async (entry) => ({ path: prefix + entry.name, file: await fileOf(entry as FileSystemFileEntry) }));
  const files = await Promise.all([...placed("", children), ...placed(`${graphs}/`, inner ? await childrenOf(inner) : [])]);
  return { files, label: folder.name };
}

/** As `checkedOfDrop`, from `<input type="file">`. */
export function checkedOfInput(list: FileList): { files: Placed[]; label: string } {
  const all = [...list];
  const folder = all[0]?.webkitRelativePath.split("/")[0];
  if (!folder) return checkedLoose(all, loose(all).label);
  const placed = all.map((file) => ({ path: file.webkitRelativePath.slice(folder.length + 1), file }));
  return { files: placed.filter(({ path }) => /^(onnx\/)?[^/]+$/.test(path)), label: folder };
}

const checkedLoose = (files: readonly File[], label: string) => ({
  files: files.map((file) => ({ path: file.name, file })),
  label: files.length === 1 ? files[0].name : label,
});

function loose(files: File[]): Dropped {
  const safetensors = files.filter((file) => file.name.endsWith(".safetensors"));
  // An adapter, or Mistral's second copy of the weights, must not give the model its name.
  const weights = safetensors.find((file) => file.name.startsWith("model")) ?? safetensors[0];
  return { files, label: (weights ?? files[0])?.name.replace(/(-00001-of-\d+)?\.\w+$/, "") ?? "" };
}

/** `readEntries` gives at most a hundred at a time, and an empty list at the end. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...some);
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
