/** `npm run screenshots`: renews the pictures in docs/images from the running app: the demo, a QEP run, its baseline, a chosen layer. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launchChromium } from "./browser.mjs";
import { build } from "./build.mjs";
import { isMain, root, script } from "./proc.mjs";
import { serve } from "./serve.mjs";

const minute = 60_000;

/** @param {import("@playwright/test").Page} page */
async function takePictures(page) {
  const button = (/** @type {string} */ name) => page.getByRole("button", { name, exact: true });
  /** @param {string} name */
  async function untilDone(name) {
    await button(name).click({ timeout: minute });
    await page
      .getByRole("status")
      .filter({ hasText: "Done" })
      .waitFor({ timeout: 5 * minute });
  }
  await button("Use the demo model").click({ timeout: minute });
  await untilDone("Run");
  await untilDone("Add baseline run");
  await untilDone("Measure perplexity");
  const figure = page.getByRole("figure", { name: "Error growth Δ_m" });
  await figure.screenshot({ path: picture("growth") });
  await page.getByRole("button", { name: /^block 9, o_proj:/ }).click();
  await page.getByRole("figure", { name: "Weights before and after" }).waitFor({ timeout: minute });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: picture("studio"), fullPage: true, scale: "css" });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: picture("studio-dark"), scale: "css" });
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 400, height: 860 });
  await figure.evaluate((element) => element.scrollIntoView({ block: "start" }));
  await page.screenshot({ path: picture("studio-phone"), scale: "css" });
}

/** @param {string} name */
const picture = (name) => join(root, "docs", "images", `${name}.png`);

async function main() {
  await build("page", { ifStale: true, quiet: true });
  const server = await serve({ port: 0 });
  const browser = await launchChromium();
  try {
    mkdirSync(join(root, "docs", "images"), { recursive: true });
    const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, deviceScaleFactor: 2, colorScheme: "light" });
    await page.goto(server.url);
    await takePictures(page);
    console.log("docs/images: growth, studio, studio-dark and studio-phone.png are new.");
  } finally {
    await browser.close();
    await server.close();
  }
}

if (isMain(import.meta)) await script(main);
