/** Builds the page and the command line. `node scripts/build.mjs [page] [cli] [--if-stale]` */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMain, root, Stop, script } from "./proc.mjs";

const shared = ["src", "shaders", "package.json", "package-lock.json"];
const targets = {
  page: { config: "vite.config.ts", inputs: [...shared, "index.html", "public", "vite.config.ts", "scripts/csp.mjs"] },
  cli: { config: "vite.cli.config.ts", inputs: [...shared, "vite.cli.config.ts"] },
};

/** @typedef {keyof typeof targets} Target */

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesUnder(path) {
  const found = statSync(join(root, path), { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return [path];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesUnder(`${path}/${name}`));
}

/**
 * One hash over names and contents: copies and checkouts change times, not bytes.
 * @param {Target} target
 */
function fingerprint(target) {
  const hash = createHash("sha256");
  for (const file of targets[target].inputs.flatMap(filesUnder)) {
    hash.update(`${file}\0${statSync(join(root, file)).size}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/**
 * @param {Target} target
 * @param {{ ifStale?: boolean, quiet?: boolean }} [options]
 */
export async function build(target, { ifStale = false, quiet = false } = {}) {
  const stamp = join(root, "dist", `${target}.stamp`);
  const now = fingerprint(target);
  if (ifStale && statSync(stamp, { throwIfNoEntry: false }) && readFileSync(stamp, "utf8") === now) return;
  rmSync(stamp, { force: true });
  // Not imported at the top: `npm start` loads this file before packages are installed.
  const vite = await import("vite");
  await vite.build({ root, configFile: join(root, targets[target].config), logLevel: quiet ? "warn" : "info" }).catch((error) => {
    // The bundler's message names file and line; its stack would only name the bundler.
    throw new Stop(error.message);
  });
  if (target === "page") {
    const { checkSize } = await import("./size.mjs");
    checkSize(quiet ? () => {} : console.log);
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(stamp, now);
}

if (isMain(import.meta)) {
  const words = process.argv.slice(2);
  const ifStale = words.includes("--if-stale");
  const named = /** @type {Target[]} */ (Object.keys(targets)).filter((target) => words.includes(target));
  await script(async () => {
    for (const target of named) await build(target, { ifStale, quiet: ifStale });
  });
}
