/** Writes docs/results.md and its files from what is stored in docs/results. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Beside } from "./beside/types";
import { dataPath, render } from "./render";
import type { Oracle } from "./types";

const json = (root: string, path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));

export const oracleOf = (root: string): Oracle => json(root, "tests/fixtures/oracle/figures.json").recipes;

/** The models beside llama.cpp, by name. */
export const besideOf = (root: string): Beside[] =>
  readdirSync(join(root, "docs/results"))
    .filter((name) => /^beside-.*\.json$/.test(name))
    .sort()
    .map((name) => json(root, `docs/results/${name}`));

/** @param results what is new of them; by default those that are stored. */
export function renderPage(root: string, results = json(root, dataPath)): void {
  for (const [path, text] of render(results, oracleOf(root), besideOf(root))) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
