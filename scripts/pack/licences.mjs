/** The licences of what is in the pack, in its folder `licences`; libraries bring theirs along (libraries.mjs). */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root, Stop } from "../proc.mjs";
import { debianLicence } from "./libraries.mjs";

/** Node's licence: in its archive beside bin/, or where a distribution puts it. */
function nodeLicence() {
  const beside = [join(dirname(process.execPath), "../LICENSE"), "/usr/share/doc/nodejs/LICENSE"];
  return beside.find((path) => existsSync(path)) ?? debianLicence(process.execPath);
}

/**
 * @param {string} folder
 * @param {string[]} packages npm packages in it
 */
export function copyLicences(folder, packages) {
  const to = join(folder, "licences");
  mkdirSync(to, { recursive: true });
  copyFileSync(join(root, "LICENSE"), join(to, "qep-studio"));
  const node = nodeLicence();
  if (!node) throw new Stop("Node's licence is not found on this machine, and its binary must not travel without.");
  copyFileSync(node, join(to, "node"));
  for (const name of packages) {
    const home = join(root, "node_modules", name);
    const file = readdirSync(home).find((entry) => /^licen[cs]e/i.test(entry));
    const { license } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const target = join(to, name.replace("/", "-"));
    if (file) copyFileSync(join(home, file), target);
    else writeFileSync(target, `${name}: ${license}. Its package has no licence file.\n`);
  }
}
