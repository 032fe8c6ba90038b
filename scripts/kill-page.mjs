/**
 * `npm run kill:page`: in Chromium a run of the demo is ended at twenty random moments, in turn by a closed tab, a worker that dies and a GPU process that
 * crashes; it is resumed (after the GPU crash it goes on by itself) and its export must have the SHA-256 of a run that nothing disturbed.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { launchChromium } from "./browser.mjs";
import { build } from "./build.mjs";
import { isMain, Stop, script } from "./proc.mjs";
import { serve } from "./serve.mjs";

/** @typedef {import("@playwright/test").Page} Page */

const minute = 60_000;
const tries = 20;
/** What the page says of the demo's run, which is GPTQ unless something else is chosen. */
const done = /Done: GPTQ/;

const button = (/** @type {Page} */ page, /** @type {string | RegExp} */ name) =>
  page.getByRole("button", typeof name === "string" ? { name, exact: true } : { name });
const resume = (/** @type {Page} */ page) => button(page, /^(Resume at block|Bring this run back)/);

/** Waits until the page says so. @param {Page} page @param {RegExp} text */
async function says(page, text) {
  const status = page.getByRole("status");
  const waiting = status.filter({ hasText: text }).waitFor({ timeout: 3 * minute });
  await waiting.catch(async () => {
    throw new Stop(`The page never said ${text}, but: ${await status.textContent().catch(() => "nothing, it is gone")}`);
  });
}

/** Opens the demo. @param {import("@playwright/test").BrowserContext} context @param {string} url */
async function opened(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(minute);
  await page.goto(url);
  await button(page, "Use the demo model").click();
  await says(page, /Opened/);
  return page;
}

/** SHA-256 of the weights inside the exported zip, whose own bytes hold the time. @param {Page} page */
async function digest(page) {
  const downloading = page.waitForEvent("download");
  await button(page, "Download as zip").click();
  const zip = readFileSync(await (await downloading).path());
  // From the header of the first file of weights to the record that ends it.
  const at = zip.indexOf(Buffer.from('{"__metadata__"', "latin1"));
  const end = zip.indexOf(Buffer.from("PK\x07\x08", "latin1"), at);
  await says(page, /Done: \d+ files/);
  return createHash("sha256").update(zip.subarray(at, end)).digest("hex");
}

/** What ends a run, and how it goes on. @type {Record<string, (page: Page, browser: import("@playwright/test").Browser, url: string) => Promise<Page>>} */
const ends = {
  async "a closed tab"(page, _, url) {
    const context = page.context();
    await page.close();
    return opened(context, url);
  },
  async "a worker that died"(page) {
    await page.workers()[0].evaluate(() => {
      setTimeout(() => {
        throw new Error("out of memory");
      });
    });
    await button(page, "Restart the worker").click();
    await button(page, "Run").and(page.locator(":enabled")).waitFor();
    return page;
  },
  async "a GPU process that crashed"(page, browser) {
    await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
    return page;
  },
};

async function main() {
  await build("page", { ifStale: true, quiet: true });
  const server = await serve({ port: 0 });
  const browser = await launchChromium();
  /** @type {import("@playwright/test").Browser | null} */
  let own = null;
  try {
    const context = await browser.newContext();
    const whole = await opened(context, server.url);
    const began = performance.now();
    await button(whole, "Run").click();
    await says(whole, done);
    const ms = performance.now() - began;
    const want = await digest(whole);
    await whole.close();
    for (let n = 0; n < tries; n++) {
      const [name, end] = Object.entries(ends)[n % 3];
      // Chromium gives a page no GPU for two minutes after the second crash of its GPU process, and nobody one after the third: each has its own browser.
      own = end === ends["a GPU process that crashed"] ? await launchChromium() : null;
      let page = await opened(own ? await own.newContext() : context, server.url);
      await button(page, "Run").click();
      const after = Math.random() * ms * 0.9;
      await page.waitForTimeout(after);
      page = await end(page, own ?? browser, server.url);
      // What was not committed yet, or was done already, is no interrupted run.
      const found = await Promise.race([
        resume(page)
          .first()
          .waitFor({ timeout: 2 * minute })
          .then(() => true),
        says(page, done).then(() => false),
        page.waitForTimeout(15_000).then(() => false),
      ]);
      const label = found ? await resume(page).first().textContent() : "by itself, or from the start";
      if (found) await resume(page).first().click();
      else if (!(await page.getByRole("status").textContent())?.match(/Done: GPTQ|Quantizing|Preparing/)) await button(page, "Run").click();
      await says(page, done);
      const same = (await digest(page)) === want;
      console.log(`${n + 1}: ${name} after ${(after / 1000).toFixed(1)} s: ${label}: ${same ? "the same bytes" : "OTHER BYTES"}`);
      if (!same) throw new Stop("The bytes are others.");
      await page.close();
      await own?.close();
    }
    console.log(`${tries} ends at random moments, each to the bytes of an undisturbed run.`);
  } finally {
    await own?.close();
    await browser.close();
    await server.close();
  }
}

if (isMain(import.meta)) await script(main);
