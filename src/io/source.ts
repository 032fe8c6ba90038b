/** What every source shares. */
import { QuantError } from "../errors";
import { shown } from "./text";
import type { Source, SourceFile } from "./types";

/** Throws `truncated` unless [start, end) lies inside the file. */
export function checkRange(file: SourceFile, start: number, end: number): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= file.size) return;
  const where = `${shown(file.name)}: bytes ${start} to ${end} of ${file.size}`;
  throw new QuantError("truncated", where, "The file is incomplete; download it again.");
}

/** The sentence for a file that is not what it was when the person gave it. */
export function fileChanged(name: string, detail: string, cause?: unknown): QuantError {
  const hint = "Leave the model's files alone while they are being read, then choose the folder again.";
  return new QuantError("file-changed", `${shown(name)}: ${detail}`, hint, { cause });
}

/** The file of that name, if the person gave it. */
export function findFile(source: Source, name: string): SourceFile | undefined {
  return source.files.find((f) => f.name === name);
}
