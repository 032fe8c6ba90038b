/** The page, as a person uses it, on a real model. */
import { Stop } from "../proc.mjs";

/** @typedef {import("@playwright/test").Page} Page */

const longestMs = 3 * 3_600_000;
const toldEveryMs = 15_000;

export const button = (/** @type {Page} */ page, /** @type {string} */ name) => page.getByRole("button", { name, exact: true });
const recipe = (/** @type {Page} */ page) => page.getByRole("group", { name: "Recipe", exact: true });
const panel = (/** @type {Page} */ page, /** @type {string} */ name) => page.getByRole("region", { name, exact: true });

/** Waits until the page's status says so, and tells what it says meanwhile. @param {Page} page @param {RegExp} text @returns {Promise<string>} */
export async function says(page, text) {
  const status = page.getByRole("status");
  let told = "";
  const tell = async () => {
    // While it counts, the first span is what screen readers were told, and the last one what is to be seen.
    const now =
      (await status
        .locator("span")
        .last()
        .textContent()
        .catch(() => null)) ?? "";
    if (now !== told) console.log(`  ${now}`);
    told = now;
  };
  const timer = setInterval(tell, toldEveryMs);
  const faulty = page.getByRole("alert").first();
  try {
    const done = status.filter({ hasText: text }).waitFor({ timeout: longestMs });
    const failed = faulty.waitFor({ timeout: longestMs }).then(async () => {
      throw new Stop(`The page says: ${await faulty.textContent()}`);
    });
    // Whichever comes second ends with the page, and nobody waits for it.
    failed.catch(() => {});
    await Promise.race([done, failed]);
    return (await status.textContent()) ?? "";
  } finally {
    clearInterval(timer);
  }
}

/** Opens a folder, with a recipe and a calibration text. @param {Page} page @param {{ folder: string, recipe: object, calibration: string }} what */
export async function openModel(page, { folder, recipe: given, calibration }) {
  await page.locator("input[webkitdirectory]").setInputFiles(folder);
  await says(page, /Opened/);
  const file = { name: "recipe.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(given)) };
  await recipe(page).getByLabel("Load recipe.json").setInputFiles(file);
  await says(page, /Loaded the recipe/);
  await recipe(page).getByText("Advanced").click();
  await recipe(page).getByLabel("Own file").check();
  await recipe(page).getByLabel("Calibration text file").setInputFiles(calibration);
  await panel(page, "Run")
    .getByText(/tokens/)
    .first()
    .waitFor();
}

/** Measures the runs on the first windows of a file of ids; perplexity before and after. @param {Page} page @param {string} tokens @param {number} windows */
export async function measurePerplexity(page, tokens, windows) {
  const here = panel(page, "Perplexity");
  await here.getByText("Evaluation text").first().click();
  await here.getByLabel("Own file").check();
  await here.getByLabel("Evaluation text file").setInputFiles(tokens);
  await here.getByLabel("Evaluation windows").fill(String(windows));
  await button(page, "Measure perplexity").click();
  await says(page, /Done: perplexity/);
  const cells = await here.getByRole("table").first().locator("tbody td").allTextContents();
  const [before, after] = cells.map((cell) => Number.parseFloat(cell.replaceAll(",", "")));
  return { before, after };
}

/** What the page tells about its device. @param {Page} page @param {string} name @returns {Promise<string>} */
export const gpuFact = async (page, name) =>
  (await panel(page, "GPU").locator("dl > div").filter({ hasText: name }).locator("dd").textContent()) ?? "";
