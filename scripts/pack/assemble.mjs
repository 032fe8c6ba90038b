/** Puts the pack's folder together. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, hostname } from "node:os";
import { dirname, join } from "node:path";
import { output, root, Stop } from "../proc.mjs";
import { copyLibraries } from "./libraries.mjs";
import { copyLicences } from "./licences.mjs";

/** What the bundled tests read, at the same places as in the project. */
const data = ["public/demo/model", "tests/fixtures/demo", "tests/fixtures/oracle/figures.json", "shaders"];

/**
 * The engine, tests and measurements as modules in tests/bundle, from where ../fixtures and ../../public are what they are in the project.
 * @returns {Promise<string[]>} the npm packages in it
 */
export async function bundle(/** @type {string} */ folder) {
  const { build } = await import("vite");
  const entry = (/** @type {string} */ name) => join(root, "scripts/pack", `${name}.ts`);
  const built = await build({
    root,
    configFile: join(root, "vite.cli.config.ts"),
    logLevel: "warn",
    build: {
      ssr: true,
      outDir: join(folder, "tests/bundle"),
      emptyOutDir: false, // It is new.
      rolldownOptions: {
        input: { main: entry("main"), part: entry("part") },
        output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
      },
    },
  }).catch((error) => {
    throw new Stop(error.message);
  });
  const outputs = [built].flat().flatMap((/** @type {any} */ { output }) => output);
  const modules = outputs.flatMap((chunk) => chunk.moduleIds ?? []);
  return [...new Set(modules.flatMap((id) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []))].sort();
}

function copyWebgpu(/** @type {string} */ folder) {
  const [from, to] = [join(root, "node_modules/webgpu"), join(folder, "node_modules/webgpu")];
  for (const path of ["package.json", "index.js", "LICENSE.md", "dist/linux-x64/dawn.node"]) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    copyFileSync(join(from, path), join(to, path));
  }
}

/** @returns {string[]} */
const filesUnder = (/** @type {string} */ folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });

/** A path of this machine in what we made would lead nowhere elsewhere, and tells what nobody asked. Binaries made elsewhere may name what they like. */
function checkPaths(/** @type {string} */ folder) {
  const ours = [root, process.cwd(), `${homedir()}/`, hostname()].filter((path) => path.length > 3 && path !== "localhost");
  for (const path of filesUnder(folder).filter((path) => !/\/bin\/node$|\.node$|\.so\.\d+$|\/licences\//.test(path))) {
    const text = readFileSync(path).toString("latin1");
    const found = ours.find((name) => text.includes(name));
    if (found) throw new Stop(`${path} names ${found}.`);
  }
}

/**
 * @param {string} folder
 * @returns {Promise<number>} its bytes
 */
export async function assemble(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "bin"), { recursive: true });
  const packages = await bundle(folder);
  copyWebgpu(folder);
  for (const path of data) cpSync(join(root, path), join(folder, path), { recursive: true });
  copyFileSync(process.execPath, join(folder, "bin/node"));
  copyFileSync(join(root, "scripts/pack/run.sh"), join(folder, "run.sh"));
  for (const path of ["bin/node", "run.sh"]) chmodSync(join(folder, path), 0o755);
  copyLibraries(folder);
  copyLicences(folder, ["webgpu", ...packages]);
  const dirty = output("git", ["-C", root, "status", "--porcelain", "--untracked-files=no"]);
  const commit = output("git", ["-C", root, "rev-parse", "--short", "HEAD"]) ?? "unknown";
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ private: true, type: "module" })}\n`);
  writeFileSync(join(folder, "pack.json"), `${JSON.stringify({ commit: dirty ? `${commit} with changes` : commit })}\n`);
  if (!existsSync(join(folder, "tests/bundle/part.js"))) throw new Stop("the bundle has no part.js");
  checkPaths(folder);
  return filesUnder(folder).reduce((sum, path) => sum + statSync(path).size, 0);
}
