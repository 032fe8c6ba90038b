/** The files of a drop or a file input: loose files, or those of a folder and of the folder onnx in it. */
import type { GivenFile } from "../io/types";
import type { Given } from "../store/opening";

const graphs = "onnx";

/** The dropped files. Must be called while the drop event is handled: its items are gone afterwards. */
export async function filesOfDrop(transfer: DataTransfer): Promise<Given> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const folder = entries.find((entry) => entry.isDirectory) as FileSystemDirectoryEntry | undefined;
  if (!folder)
    return loose(entries.length ? await Promise.all(entries.map((entry) => fileOf(entry as FileSystemFileEntry))) : [...transfer.files]);
  const children = await childrenOf(folder);
  const inner = children.find(({ isDirectory, name }) => isDirectory && name === graphs) as FileSystemDirectoryEntry | undefined;
  const placed = (prefix: string, list: readonly FileSystemEntry[]) =>
    list
      .filter((entry) => entry.isFile)
      .map(async (entry): Promise<GivenFile> => ({ path: prefix + entry.name, file: await fileOf(entry as FileSystemFileEntry) }));
  const files = await Promise.all([...placed("", children), ...placed(`${graphs}/`, inner ? await childrenOf(inner) : [])]);
  return { files, label: folder.name };
}

/** From `<input type="file">`, with or without `webkitdirectory`. */
export function filesOfInput(list: FileList): Given {
  const all = [...list];
  const folder = all[0]?.webkitRelativePath.split("/")[0];
  if (!folder) return loose(all);
  const placed = all.map((file) => ({ path: file.webkitRelativePath.slice(folder.length + 1), file }));
  return { files: placed.filter(({ path }) => /^(onnx\/)?[^/]+$/.test(path)), label: folder };
}

function loose(files: File[]): Given {
  const safetensors = files.filter((file) => file.name.endsWith(".safetensors"));
  // An adapter, or Mistral's second copy of the weights, must not give the model its name.
  const weights = safetensors.find((file) => file.name.startsWith("model")) ?? safetensors[0];
  return {
    files: files.map((file) => ({ path: file.name, file })),
    label: (weights ?? files[0])?.name.replace(/(-00001-of-\d+)?\.\w+$/, "") ?? "",
  };
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
