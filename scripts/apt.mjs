/** Installs Debian packages where that can be done without asking anyone. */
import { output, run } from "./proc.mjs";

/**
 * True when it was tried and worked; false where there is no apt-get, or no right to use it.
 * @param {string[]} packages
 */
export async function aptInstall(packages) {
  if (process.platform !== "linux" || output("apt-get", ["--version"]) === null) return false;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && output("sudo", ["-n", "true"]) === null) return false;
  console.log(`Installing ${packages.join(", ")} (apt-get) ...`);
  const apt = async (/** @type {string[]} */ ...args) => {
    // Through env, because sudo drops our variables.
    const words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args];
    return (await (isRoot ? run(words[0], words.slice(1)) : run("sudo", ["-n", ...words]))) === 0;
  };
  // A list that cannot be refreshed may still be good enough; the installation decides.
  await apt("update");
  return apt("install", "-y", "--no-install-recommends", ...packages);
}
