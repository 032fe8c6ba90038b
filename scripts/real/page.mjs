/** The first blocks of the real model through the page, in Chromium: the same recipe, and the same bytes as the command line's? */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { launchChromium } from "../browser.mjs";
import { build } from "../build.mjs";
import { run, Stop } from "../proc.mjs";
import { serve } from "../serve.mjs";
import { button, gpuFact, measurePerplexity, openModel, says } from "./browser.mjs";
import { exportOf } from "./cli.mjs";
import { keyOf } from "./facts.mjs";
import { cache, inScripts, modelFolder, theirPerplexity } from "./model.mjs";
import { fixtures, recipeFor } from "./settings.mjs";
import { compareBlock } from "./tensors.mjs";
import { watched } from "./watch.mjs";

/** @typedef {import("./watch.mjs").Taken} Taken */
/** @typedef {{ adapter: string, said: string, peak: string, taken: Taken, before: number, after: number, measuring: Taken, theirs: number, blocks: number, windows: number }} Paged */
/** @typedef {{ block: number, weights: number, different: number }} Compared */

const evaluationText = join(fixtures, "evaluation.npy");

export const steps = { running: "page: the first blocks", comparing: "page: its bytes beside the command line's" };

/** The folder that the page's export is unpacked to. @param {import("./settings.mjs").Size} size */
const exportHere = (size) => join(cache, `page-${size.name}`);

/** Downloads the export and unpacks it. @param {import("@playwright/test").Page} page @param {string} python @param {string} folder */
async function unpack(page, python, folder) {
  const downloading = page.waitForEvent("download", { timeout: 0 });
  await button(page, "Download as zip").click();
  const zip = await (await downloading).path();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if ((await run(python, [inScripts("unpack.py"), zip, folder])) !== 0) throw new Stop("The page's zip cannot be read.");
}

/**
 * @param {import("./settings.mjs").Size} size
 * @param {string} python
 * @returns {Promise<Paged>}
 */
async function runBlocks(size, python) {
  const server = await serve({ port: 0 });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(server.url);
    const recipe = recipeFor(size, size.pageBlocks);
    await openModel(page, { folder: modelFolder, recipe, calibration: join(fixtures, "calibration.npy") });
    const { value: said, taken } = await watched(async () => {
      await button(page, "Run").click();
      return says(page, /Done: GPTQ/);
    });
    console.log(`  ${said}`);
    const [adapter, peak] = [await gpuFact(page, "Adapter"), await gpuFact(page, "Peak of last run")];
    await unpack(page, python, exportHere(size));
    const { value, taken: measuring } = await watched(() => measurePerplexity(page, evaluationText, size.pageEvaluation));
    const theirs = theirPerplexity(python, modelFolder, evaluationText, size.pageEvaluation);
    return { adapter, said, peak, taken, ...value, measuring, theirs, blocks: size.pageBlocks, windows: size.pageEvaluation };
  } finally {
    await browser.close();
    await server.close();
  }
}

/**
 * @param {import("./facts.mjs").Facts} facts
 * @param {import("./settings.mjs").Size} size
 * @param {string} python
 */
export async function runPage(facts, size, python) {
  await build("page", { ifStale: true, quiet: true });
  const key = keyOf("page", [recipeFor(size, size.pageBlocks), size.pageEvaluation]);
  if (!existsSync(exportHere(size))) facts.drop(steps.running);
  await facts.get(steps.running, key, () => runBlocks(size, python));
  facts.drop(steps.comparing);
  // Done each time that both exports are there, because it is quick.
  if (existsSync(exportOf(size))) facts.put(steps.comparing, key, compareBlocks(size));
}

/** @param {import("./settings.mjs").Size} size @returns {Compared[]} */
function compareBlocks(size) {
  const blocks = Array.from({ length: size.pageBlocks }, (_, block) => block);
  return blocks.map((block) => ({ block, ...compareBlock(exportHere(size), exportOf(size), block) }));
}
