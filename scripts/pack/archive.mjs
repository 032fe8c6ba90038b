/** Archives of the pack: .tar.gz, which everything unpacks, and .tar.xz, a third smaller, where xz is installed. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { output, root, Stop } from "../proc.mjs";

/**
 * @param {string} folder
 * @returns {Promise<string[]>} their paths from the project's folder
 */
export async function archive(folder) {
  const kinds = [
    { end: "tar.gz", how: "gzip -9n" },
    { end: "tar.xz", how: "xz -6 -T1" },
  ];
  const made = [];
  for (const { end, how } of kinds) {
    const path = `${folder}.${end}`;
    rmSync(path, { force: true });
    if (output(how.split(" ")[0], ["--version"]) === null) continue;
    // The same pack gives the same archive: no owners, no times, names in order.
    const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    const args = [...same, `--use-compress-program=${how}`, "-cf", path, "-C", dirname(folder), basename(folder)];
    const { status, stderr } = spawnSync("tar", args, { encoding: "utf8" });
    if (status !== 0) throw new Stop(`${basename(path)} cannot be made: ${stderr}`);
    made.push(relative(root, join(path)));
  }
  return made;
}
