/** The Python environment of the interop tests: one per user and requirements.txt, shared by all clones. `node scripts/python.mjs` prints its interpreter. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { aptInstall } from "./apt.mjs";
import { isMain, output, root, run, Stop, script } from "./proc.mjs";

const requirements = join(root, "tests", "interop", "requirements.txt");
const probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2] if sys.version_info >= (3, 11) else '')";
const headers = "import os, sysconfig; print(os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')))";
/** What building the clients from source needs, installed before them; versions are those of requirements.txt. */
const builders = ["torch", "setuptools", "wheel", "packaging", "ninja"];

/** A Python that can make environments, and its version. */
function findPython() {
  for (const command of [process.env.PYTHON, "python3", "python"]) {
    const version = command && output(command, ["-c", probe]);
    if (version) return { command, version };
  }
  return null;
}

/** Where all that is made once and may be deleted lies. */
export function cacheFolder() {
  const windows = process.platform === "win32" ? process.env.LOCALAPPDATA : undefined;
  return join(process.env.XDG_CACHE_HOME || windows || join(homedir(), ".cache"), "qep-studio");
}

/** @param {string} environment */
const interpreterOf = (environment) => join(environment, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));

/** @param {string} version */
function nameFor(version) {
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  return `python${version}-${hash}`;
}

/** The interpreter that is ready for the tests, or null before set-up. Its base may have been uninstalled since, so it is started once. */
export function readyPython() {
  const python = findPython();
  if (!python) return null;
  const interpreter = interpreterOf(join(cacheFolder(), nameFor(python.version)));
  return output(interpreter, ["-c", "print(1)"]) === "1" ? interpreter : null;
}

/**
 * Removes what set-ups that were killed left behind; the number at the end is the process that was making it.
 * @param {string} prefix
 */
function sweep(prefix) {
  for (const name of readdirSync(cacheFolder()).filter((entry) => entry.startsWith(prefix))) {
    try {
      process.kill(Number(name.slice(prefix.length)), 0);
    } catch {
      rmSync(join(cacheFolder(), name), { recursive: true, force: true });
    }
  }
}

/**
 * One of the clients' packages is C source.
 * @param {string} python
 */
const canCompile = (python) => output(python, ["-c", headers]) === "True" && ["cc", "gcc", "clang"].some((cc) => output(cc, ["--version"]));

/**
 * A whole environment in that folder, or false.
 * @param {string} python
 * @param {string} folder
 */
async function make(python, folder) {
  const pip = async (/** @type {string[]} */ ...words) =>
    (await run(interpreterOf(folder), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", ...words])) === 0;
  if ((await run(python, ["-m", "venv", folder])) !== 0) return false;
  console.log("  1 of 2: torch ...");
  if (!(await pip("--constraint", requirements, ...builders))) return false;
  console.log("  2 of 2: transformers and GPTQModel, partly from source ...");
  return pip("--no-build-isolation", "--requirement", requirements);
}

/** Makes the environment if there is none; resolves to its interpreter. */
export async function ensurePython() {
  const ready = readyPython();
  if (ready) return ready;
  if (!findPython()) await aptInstall(["python3", "python3-venv", "python3-dev", "gcc"]);
  const python = findPython();
  if (!python)
    throw new Stop(
      "The interop tests need Python 3.11 or newer with its venv module (Debian: python3-venv); set PYTHON to its path if it has an unusual one.",
    );
  const command = /** @type {string} */ (python.command);
  if (!canCompile(command)) await aptInstall(["python3-dev", "gcc"]);

  const name = nameFor(python.version);
  const [whole, partial] = [join(cacheFolder(), name), join(cacheFolder(), `${name}.partial-${process.pid}`)];
  mkdirSync(cacheFolder(), { recursive: true });
  sweep(`${name}.partial-`);
  console.log("Making the Python environment of the interop tests (once; a few minutes and 1.6 GB, more where torch comes with CUDA) ...");
  const started = Date.now();
  if (!(await make(command, partial))) {
    rmSync(partial, { recursive: true, force: true });
    throw new Stop(
      `The Python environment of the interop tests could not be made: see the message above.${canCompile(command) ? "" : " It needs a C compiler and Python's headers (Debian: gcc and python3-dev)."}`,
    );
  }
  console.log(`  made in ${Math.round((Date.now() - started) / 1000)} s.`);
  // Under its final name only when complete. A concurrent set-up may have been first; one that no longer starts is replaced.
  if (!readyPython()) {
    rmSync(whole, { recursive: true, force: true });
    renameSync(partial, whole);
  } else {
    rmSync(partial, { recursive: true, force: true });
  }
  if (!existsSync(interpreterOf(whole)))
    throw new Stop(`The Python environment in ${whole} is not usable: delete that folder and try again.`);
  return interpreterOf(whole);
}

if (isMain(import.meta)) await script(async () => console.log(await ensurePython()));
