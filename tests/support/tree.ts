/** The files of the project as a clone has them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What .gitignore leaves out, and git itself. */
const ignored = [
  ".git",
  ...readFileSync(`${root}.gitignore`, "utf8")
    .split("\n")
    .map((line) => line.replace(/\/$/, "")),
];

/** Paths from the root, with forward slashes, of all files below a folder ("" is everything). */
export function filesUnder(folder = ""): string[] {
  return readdirSync(root + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (ignored.includes(entry.name)) return [];
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

export const readText = (path: string) => readFileSync(root + path, "utf8");
