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
