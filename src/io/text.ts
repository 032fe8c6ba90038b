/** What messages are made of. Names that come out of files are hostile: these helpers make them safe to show and safe to use as file names. */
import { QuantError } from "../errors";

/** A name from a file, fit for a message: at most 80 characters, with control and invisible characters replaced. */
export function shown(name: string): string {
  const cut = name.length > 80 ? `${name.slice(0, 79)}…` : name;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\uFFFD");
}

/** Names as one readable list; a hostile file must not be able to fill the screen, so at most `limit` are named. */
export function shownList(names: readonly string[], limit = 50): string {
  const head = names.slice(0, limit).map(shown).join(", ");
  return names.length > limit ? `${head} and ${names.length - limit} more` : head;
}

/** Bytes as a person reads them: 4.9 GB. */
export const byteSize = (bytes: number): string => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

/** True for a name that cannot leave its folder on any platform: no separators, no drive, no `..`, no control characters. */
export function isPlainName(name: string): boolean {
  if (name === "" || name === "." || name.length > 255 || name.includes("..")) return false;
  return !/[/\\:\p{Cc}]/u.test(name);
}

/** True for a plain name, or one in a folder with a plain name. */
export function isPlainPath(path: string): boolean {
  const parts = path.split("/");
  return parts.length <= 2 && parts.every(isPlainName);
}

/** Bytes as text. Throws `code` when they are not UTF-8; a byte order mark is kept, so that the parser sees it. */
export function decodeUtf8(bytes: Uint8Array, fileName: string, code: "bad-safetensors" | "bad-json"): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new QuantError(code, `${shown(fileName)} contains bytes that are not UTF-8`, "Download the file again.", { cause });
  }
}
