/** `npm run bench:pack`: dist/bench-pack/ and archives of it, which run on a bare x86-64 Linux with a GPU (docs/gpu.md). */
import { statSync } from "node:fs";
import { join } from "node:path";
import { archive } from "./pack/archive.mjs";
import { assemble } from "./pack/assemble.mjs";
import { root, Stop, script } from "./proc.mjs";

const most = 50e6;
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

await script(async () => {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Stop("The pack is made on x86-64 Linux, whose Node it takes along.");
  const folder = join(root, "dist", "bench-pack");
  const size = await assemble(folder);
  console.log(`dist/bench-pack: ${megabytes(size)}`);
  for (const path of await archive(folder)) {
    const { size } = statSync(join(root, path));
    console.log(`${path}: ${megabytes(size)}`);
    if (size > most) throw new Stop(`${path} is over ${megabytes(most)}.`);
  }
});
