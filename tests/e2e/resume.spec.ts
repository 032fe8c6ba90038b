/** What was computed is never lost: a run goes on after whatever ended it, and comes to the bytes of one that nothing disturbed. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { gateEngine } from "./gate";
import { button, openDemo, openStudio, recipe, seriousFindings, status } from "./studio";
import { unzip } from "./unzip";

/** Names and SHA-256 of all files of the export. */
async function exported(page: Page): Promise<string[]> {
  const downloading = page.waitForEvent("download");
  await button(page, "Download as zip").click();
  const files = unzip(readFileSync(await (await downloading).path()));
  await expect(status(page)).toContainText("Done: ");
  return [...files].map(([name, content]) => `${name.split("/").at(-1)} ${createHash("sha256").update(content).digest("hex")}`).sort();
}

async function small(page: Page): Promise<void> {
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 3" });
}

const doneIn = (page: Page) => expect(status(page)).toContainText(/Done: .* in /);
const resume = (page: Page) => page.getByRole("button", { name: /^Resume at block \d+ of 12$/ });

/** Starts a run that stands still after so many waits for the device. */
async function heldRun(page: Page, waits: number) {
  await openStudio(page);
  const gate = await gateEngine(page);
  await openDemo(page);
  await small(page);
  await gate.holdAfter(waits);
  await button(page, "Run").click();
  await gate.held();
  return gate;
}

/** What a run exports that nothing disturbed. */
async function undisturbedRun(page: Page): Promise<string[]> {
  await openStudio(page);
  await openDemo(page);
  await small(page);
  await button(page, "Run").click();
  await doneIn(page);
  const files = await exported(page);
  expect(files.length).toBeGreaterThan(4);
  return files;
}

test("a run goes on to the same bytes after a cancel, and by itself after a GPU crash", async ({ page, browser }) => {
  const undisturbed = await undisturbedRun(page);

  await test.step("Cancel", async () => {
    const again = await page.context().newPage();
    const gate = await heldRun(again, 120);
    await button(again, "Cancel").click();
    await gate.release();
    await expect(status(again)).toContainText("The blocks that are done are kept");
    await expect(resume(again)).toBeVisible();
    expect(await seriousFindings(again)).toEqual([]);
    await resume(again).click();
    await doneIn(again);
    await expect(resume(again)).toHaveCount(0);
    expect(await exported(again)).toEqual(undisturbed);
    await again.close();
  });

  await test.step("a GPU process that crashed: nobody has to do anything", async () => {
    const crashing = await page.context().newPage();
    const gate = await heldRun(crashing, 125);
    await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
    await gate.release();
    await doneIn(crashing);
    await expect(crashing.getByRole("region", { name: "Log", exact: true })).toContainText(
      /The GPU was lost \(.*\)\. Going on with block \d+ on a new one\./,
    );
    expect(await exported(crashing)).toEqual(undisturbed);
    await crashing.close();
  });
});

test("and after a closed tab, and a worker that died", { tag: "@whole" }, async ({ page }) => {
  const undisturbed = await undisturbedRun(page);

  await test.step("a closed tab", async () => {
    const closed = await page.context().newPage();
    await heldRun(closed, 130);
    await closed.close();
    const later = await page.context().newPage();
    await openStudio(later);
    await openDemo(later);
    await resume(later).click();
    await doneIn(later);
    expect(await exported(later)).toEqual(undisturbed);
    await later.close();
  });

  await test.step("a worker that died", async () => {
    const dying = await page.context().newPage();
    await heldRun(dying, 140);
    await dying.workers()[0].evaluate(() => {
      setTimeout(() => {
        throw new Error("out of memory");
      });
    });
    await expect(status(dying)).toContainText("The worker stopped unexpectedly");
    await button(dying, "Restart the worker").click();
    await resume(dying).click();
    await doneIn(dying);
    expect(await exported(dying)).toEqual(undisturbed);
    await dying.close();
  });
});

test("a second tab does not take a run that the first one is working on, and what is discarded is gone", { tag: "@whole" }, async ({
  page,
}) => {
  const gate = await heldRun(page, 150);
  const second = await page.context().newPage();
  await openStudio(second);
  await openDemo(second);
  await expect(resume(second)).toHaveCount(0);
  await button(page, "Cancel").click();
  await gate.release();
  await expect(resume(page)).toBeVisible();
  await page.getByRole("button", { name: /^Discard RTN/ }).click();
  await expect(resume(page)).toHaveCount(0);
  await second.reload();
  await openDemo(second);
  await expect(button(second, "Run")).toBeEnabled();
  await expect(resume(second)).toHaveCount(0);
});

test("where the browser gives no GPU any more the page says what to do: finished runs are exported, the others resumed after a reload", {
  tag: "@whole",
}, async ({ browser, launchOptions, baseURL }) => {
  // Chromium counts the crashes: another browser's tests must not be left without a GPU.
  const own = await browser.browserType().launch(launchOptions);
  const page = await (await own.newContext({ baseURL })).newPage();
  await openStudio(page);
  const gate = await gateEngine(page);
  await openDemo(page);
  await small(page);
  await button(page, "Run").click();
  await doneIn(page);
  await gate.holdAfter(100);
  await button(page, "Add baseline run").click();
  await gate.held();
  await page.workers()[0].evaluate(() => {
    GPU.prototype.requestAdapter = async () => null;
  });
  await (await own.newBrowserCDPSession()).send("Browser.crashGpuProcess");
  await gate.release();
  await expect(status(page)).toContainText("The GPU was lost: the browser gives no other");
  await expect(status(page)).toContainText("Reload the page, or restart the browser");
  await expect(page.getByRole("alert")).toContainText("The GPU was lost");
  await expect(page.getByRole("region", { name: "Run", exact: true })).not.toContainText("the recipe does not fit");
  await expect(resume(page)).toBeDisabled();
  expect(await seriousFindings(page)).toEqual([]);

  await page.getByRole("radio").first().check();
  expect((await exported(page)).length).toBeGreaterThan(4);

  await page.reload();
  await openDemo(page);
  await resume(page).click();
  await doneIn(page);
  await own.close();
});
