/** Are a folder's node_modules what its package-lock.json says? If not, `npm ci`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, Stop } from "./proc.mjs";

const least = [20, 19];

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > least[0] || (major === least[0] && minor >= least[1])) return;
  throw new Stop(`QEP Studio needs Node ${least.join(".")} or newer; this is ${process.versions.node}.`);
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean }} Entry */

/**
 * @param {string} path
 * @returns {Record<string, Entry>}
 */
const packagesIn = (path) => JSON.parse(readFileSync(path, "utf8")).packages;

/** npm leaves node_modules/.package-lock.json behind when an installation is complete: it must agree with ours. */
function packagesAreCurrent(/** @type {string} */ folder) {
  try {
    const wanted = packagesIn(join(folder, "package-lock.json"));
    const present = packagesIn(join(folder, "node_modules/.package-lock.json"));
    return Object.entries(wanted).every(([path, entry]) => {
      const there = present[path];
      // "" is the project itself; optional packages are for other platforms.
      return path === "" || (there ? there.version === entry.version && there.integrity === entry.integrity : entry.optional === true);
    });
  } catch {
    return false;
  }
}

/** @param {string} [folder] the project's, or another that has a package.json */
export async function ensurePackages(folder = root) {
  checkNode();
  if (packagesAreCurrent(folder)) return;
  console.log("Installing packages (npm ci) ...");
  // npm tells its scripts where it is; started by hand, it is looked for on the PATH (a .cmd on Windows, which needs a shell).
  const npm = process.env.npm_execpath;
  const options = { cwd: folder, shell: !npm && process.platform === "win32" };
  const status = npm ? await run(process.execPath, [npm, "ci"], options) : await run("npm", ["ci"], options);
  if (status !== 0) throw new Stop("`npm ci` failed: see its message above.");
}
