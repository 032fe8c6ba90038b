/** The real model through the command line: perplexity, a whole run, perplexity. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "../build.mjs";
import { gpuEnvironment } from "../find.mjs";
import { root, Stop } from "../proc.mjs";
import { keyOf } from "./facts.mjs";
import { cache, modelFolder, theirPerplexity } from "./model.mjs";
import { fixtures, recipeFor, windowLength } from "./settings.mjs";
import { watched } from "./watch.mjs";

/** @typedef {import("./watch.mjs").Taken} Taken */
/** @typedef {{ perplexity: number, theirs: number, windows: number, tokens: number, adapter: string, taken: Taken }} Measured */
/** @typedef {{ adapter: string, ms: number, peakGpuBytes: number, blocks: number, layers: number, fallbacks: number, tokens: number, resumed: boolean, taken: Taken }} Quantized */

export const steps = {
  quantizing: "command line: quantizing",
  before: "command line: perplexity before",
  after: "command line: perplexity after",
};

const evaluationText = join(fixtures, "evaluation.npy");

/** The folder that the command line exports to. @param {import("./settings.mjs").Size} size */
export const exportOf = (size) => join(cache, `cli-${size.name}`);

/** Runs the command line; what it tells goes to our terminal, its result to us. @param {string[]} args @returns {Promise<string>} */
function cli(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, "bin", "qep-studio.mjs"), ...args], {
      env: { ...process.env, ...gpuEnvironment() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    child.stdout.on("data", (text) => {
      printed += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(printed);
      reject(
        new Stop(`qep-studio ${args[0]} ended with ${code ?? signal}. \`npm run real\` again goes on with the block where it stopped.`),
      );
    });
  });
}

/**
 * @param {string} python
 * @param {string} folder
 * @param {number} windows
 * @returns {Promise<Measured>}
 */
async function measure(python, folder, windows) {
  const words = ["evaluate", folder, "--tokens", evaluationText, "--windows", String(windows), "--json"];
  const { value, taken } = await watched(() => cli(words));
  const { perplexity, tokens, adapter } = JSON.parse(value);
  console.log(`  perplexity ${perplexity.toFixed(4)} in ${Math.round(taken.ms / 1000)} s; transformers ...`);
  const theirs = theirPerplexity(python, folder, evaluationText, windows);
  console.log(`  transformers: ${theirs.toFixed(4)}`);
  return { perplexity, theirs, windows, tokens, adapter, taken };
}

/**
 * @param {import("./settings.mjs").Size} size
 * @param {string} key of the programs and settings; an interrupted run of others is not gone on with
 * @param {boolean} fresh
 * @returns {Promise<Quantized>}
 */
async function quantize(size, key, fresh) {
  const out = exportOf(size);
  const [report, recipe, begun] = [`${out}.report.json`, `${out}.recipe.json`, `${out}.key`];
  // Beside the output, or in it where an older one is there.
  const kept = [join(cache, `.cli-${size.name}.run`), join(out, ".run")];
  if (fresh || !existsSync(begun) || readFileSync(begun, "utf8") !== key)
    for (const folder of kept) rmSync(folder, { recursive: true, force: true });
  const resumed = kept.some((folder) => existsSync(folder));
  mkdirSync(cache, { recursive: true });
  writeFileSync(begun, key);
  writeFileSync(recipe, JSON.stringify(recipeFor(size, size.blocks)));
  const words = ["quantize", modelFolder, "--recipe", recipe, "--calibration", join(fixtures, "calibration.npy")];
  const { taken } = await watched(() => cli([...words, "--out", out, "--report", report, "--resume", "--force"]));
  const { adapter, ms, peakGpuBytes, blocks, layers } = JSON.parse(readFileSync(report, "utf8"));
  const fallbacks = layers.filter((/** @type {{ fallback: string | null }} */ layer) => layer.fallback !== null).length;
  const tokens = windowLength * size.calibration;
  return { adapter, ms, peakGpuBytes, blocks: size.blocks ?? blocks.length, layers: layers.length, fallbacks, tokens, resumed, taken };
}

/**
 * @param {import("./facts.mjs").Facts} facts
 * @param {import("./settings.mjs").Size} size
 * @param {string} python
 */
export async function runCli(facts, size, python) {
  await build("cli", { ifStale: true, quiet: true });
  const key = keyOf("cli", [recipeFor(size, size.blocks)]);
  // First, because it is the longest. Its fact is worth nothing without the folder that the others read.
  if (!existsSync(exportOf(size))) facts.drop(steps.quantizing);
  await facts.get(steps.quantizing, key, () => quantize(size, key, facts.fresh));
  await facts.get(steps.before, keyOf("cli", [size.evaluation]), () => measure(python, modelFolder, size.evaluation));
  await facts.get(steps.after, `${key} ${size.evaluation}`, () => measure(python, exportOf(size), size.evaluation));
}
