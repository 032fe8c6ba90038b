/** Where an export is saved: a folder, or a zip to download. */
import { isBase, type Recipe } from "../recipe/recipe";

type PickFolder = (options: { mode: "readwrite"; id?: string }) => Promise<FileSystemDirectoryHandle>;

export const canPickFolder = (): boolean => "showDirectoryPicker" in window;

/** Null when the person closed the dialog. Needs a user gesture. */
export async function pickFolder(): Promise<FileSystemDirectoryHandle | null> {
  try {
    return await (window as unknown as { showDirectoryPicker: PickFolder }).showDirectoryPicker({ mode: "readwrite", id: "qep-export" });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") return null;
    throw cause;
  }
}

export function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download reads the URL after the click; a minute is ample for it to begin.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Keeps a file of the origin's private file system as long as this page lives: a download may be copied at any time until then. The worker that wrote the
 * file has the lock, and this request waits behind it until the worker ends.
 */
export function keepFile(lock: string): void {
  // Where it is refused the worker's own lock still keeps the file.
  navigator.locks?.request(lock, () => new Promise(() => {})).catch(() => {});
}

/** A name for a folder or zip, safe on every file system: "tinyllama-rtn-3bit-g64-qep-0.5". */
export function exportName(label: string, recipe: Recipe): string {
  const parts = [label, recipe.method, ...gridParts(recipe)];
  if (!isBase(recipe))
    parts.push(recipe.qep.choice === "best" ? "qep-best" : `qep-${recipe.qep.alpha}${recipe.qep.choice === "guarded" ? "-guarded" : ""}`);
  if (recipe.rotation !== null) parts.push("rotated");
  if (recipe.rules.length) parts.push("rules");
  if (recipe.blocks !== null) parts.push(`first-${recipe.blocks}`);
  if (recipe.format !== "dense") parts.push(recipe.format === recipe.method ? "packed" : recipe.format);
  const safe = parts
    .join("-")
    .normalize("NFKD")
    .replace(/[^\w.-]+/g, "-")
    .replace(/-{2,}/g, "-");
  return safe.replace(/^[-.]+|[-.]+$/g, "").slice(0, 100) || "checkpoint";
}

function gridParts({ type, bits, groupSize, symmetric }: Recipe): string[] {
  if (type !== "none") return [type];
  return [`${bits}bit`, ...(groupSize === -1 ? [] : [`g${groupSize}`]), ...(symmetric ? ["sym"] : [])];
}
