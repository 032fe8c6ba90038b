/** How much JavaScript the page needs before it shows anything, and the budget for it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { root, Stop } from "./proc.mjs";

const budget = 250 * 1024;

/** @typedef {{ file: string, isEntry?: boolean, imports?: string[] }} Chunk */

/** Bytes, gzipped, of the entry chunk and of everything it imports statically. */
function initialBytes() {
  const page = join(root, "dist", "page");
  /** @type {Record<string, Chunk>} */
  const manifest = JSON.parse(readFileSync(join(page, ".vite", "manifest.json"), "utf8"));
  const seen = new Set(Object.keys(manifest).filter((key) => manifest[key].isEntry));
  // A Set grows while it is walked, so this reaches all static imports.
  for (const key of seen) for (const next of manifest[key].imports ?? []) seen.add(next);
  return [...seen].reduce((sum, key) => sum + gzipSync(readFileSync(join(page, manifest[key].file)), { level: 9 }).length, 0);
}

function sourceLines() {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  const lines = files.reduce((sum, name) => sum + readFileSync(join(root, "src", name), "utf8").split("\n").length - 1, 0);
  return { files: files.length, lines };
}

/** @param {(line: string) => void} print */
export function checkSize(print) {
  const bytes = initialBytes();
  const { files, lines } = sourceLines();
  const kilobytes = (/** @type {number} */ n) => `${(n / 1024).toFixed(1)} KB`;
  print(`initial JavaScript ${kilobytes(bytes)} gzipped (budget ${kilobytes(budget)}); src ${lines} lines in ${files} files`);
  if (bytes > budget) throw new Stop(`The page loads ${kilobytes(bytes)} of JavaScript at start; the budget is ${kilobytes(budget)}.`);
}
