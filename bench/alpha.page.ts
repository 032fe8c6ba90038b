/**
 * The demo as a person meets it: the first run of a cold page, the second, and a drag of α. `npm run bench -- --only alpha`
 *
 * A cold page is one of a browser that was just started, on a profile of its own: nothing is compiled, nothing is cached.
 */
import { type Browser, expect, type Page, test } from "@playwright/test";
import { duration } from "../scripts/pack/timing";
import { button, curves, openDemo, openStudio, recipe, status } from "../tests/e2e/studio";
import { adapterOf, slider } from "./support/page";
import { fact, type Row, small, write } from "./support/report";
import { median } from "./support/times";

const alphas = small ? ["0.7"] : ["0.7", "0.9", "0.3"];
const rounds = small ? 1 : 2;
/** How long a person looks at the plan, in the runs that do not start at once. */
const lookMs = 5000;

/** Seconds until the status says that the run is done. */
async function secondsUntilDone(page: Page, start: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await start();
  await expect(status(page)).toContainText(/Done: RTN 3-bit \+ QEP/);
  return (performance.now() - started) / 1000;
}

async function prepare(page: Page): Promise<void> {
  await openStudio(page);
  await openDemo(page);
  // Few tokens, to try the part out.
  if (small) {
    await recipe(page).getByText("Advanced").click();
    await recipe(page).getByLabel("Window length").fill("32");
    await recipe(page).getByLabel("Calibration windows").fill("4");
  }
  await expect(button(page, "Run")).toBeEnabled();
}

const rerun = async (page: Page) => {
  await button(page, "Run").click();
  // Else what is read is the last run's.
  await expect(status(page)).not.toContainText("Done");
};

interface Drag {
  first: number;
  whole: number;
}

/** From the drag to the first point of the new curve, and to its last, as the chart's table shows them. */
async function drag(page: Page, alpha: string): Promise<Drag> {
  const blocks = (await curves(page))[0].length;
  await page.evaluate((all) => {
    const seen = { dragged: 0, first: 0, whole: 0 };
    Object.assign(window, { seen });
    const points = () => {
      const rows = [...document.querySelectorAll('table[aria-label="Growth by block"] tbody tr')];
      return rows.filter((row) => [...row.querySelectorAll("td")].at(-1)?.textContent).length;
    };
    // At first the old curve stands there; the new one begins at fewer points.
    let begun = false;
    const look = () => {
      const now = performance.now();
      const shown = points();
      if (seen.dragged && shown < all) begun = true;
      if (begun && shown > 0) seen.first ||= now;
      if (seen.first && shown === all) seen.whole ||= now;
      if (!seen.whole) requestAnimationFrame(look);
    };
    window.addEventListener("input", () => (seen.dragged ||= performance.now()), { capture: true, once: true });
    look();
  }, blocks);
  await slider(page).fill(alpha);
  await page.waitForFunction(() => (window as unknown as { seen: { whole: number } }).seen.whole > 0, null, { timeout: 300_000 });
  const seen = await page.evaluate(() => (window as unknown as { seen: Record<"dragged" | "first" | "whole", number> }).seen);
  await expect(status(page)).toContainText(`Done: RTN 3-bit + QEP α ${alpha}`);
  return { first: (seen.first - seen.dragged) / 1000, whole: (seen.whole - seen.dragged) / 1000 };
}

test("the first run, the second, and drags of α", async ({ playwright }) => {
  test.setTimeout(1_800_000);
  const { launchOptions, baseURL, viewport } = test.info().project.use;
  const cold = async (work: (page: Page, browser: Browser) => Promise<void>) => {
    const browser = await playwright.chromium.launch(launchOptions);
    const context = await browser.newContext({ baseURL, viewport });
    await work(await context.newPage(), browser);
    await browser.close();
  };
  const times = { atOnce: [] as number[], looked: [] as number[], second: [] as number[] };
  const drags: Drag[] = [];
  let adapter = "";
  for (let round = 0; round < rounds; round++) {
    await cold(async (page) => {
      await prepare(page);
      times.atOnce.push(await secondsUntilDone(page, () => button(page, "Run").click()));
    });
    await cold(async (page) => {
      await prepare(page);
      await page.waitForTimeout(lookMs);
      times.looked.push(await secondsUntilDone(page, () => button(page, "Run").click()));
      times.second.push(await secondsUntilDone(page, () => rerun(page)));
      if (round < rounds - 1) return;
      adapter = await adapterOf(page);
      await page.getByRole("figure", { name: "Error growth Δ_m" }).getByText("Show as table").click();
      for (const alpha of alphas) drags.push(await drag(page, alpha));
    });
  }
  const of = (numbers: readonly number[]) => `${duration(median(numbers))} (${numbers.map((s) => duration(s)).join(", ")})`;
  const rows: Row[] = [
    fact("First run of a cold page, started as soon as it can be", of(times.atOnce)),
    fact(`First run of a cold page, started after ${lookMs / 1000} s with the plan in view`, of(times.looked)),
    fact("Second run of the same page", of(times.second), "the full-precision stream is recorded by then, which is nearly half of a run"),
    fact("From a drag of α to the first new point of the curve", of(drags.map(({ first }) => first))),
    fact("From a drag of α to the whole curve", of(drags.map(({ whole }) => whole))),
  ];
  const intro =
    "The demo (12 blocks, 64 wide) in the page, with the preset Quick (RTN with QEP) at 3 bits on 16 windows of 128 tokens. Runs are timed from " +
    "the press of Run to “Done”; compiling is in the first. Medians, and in brackets each time.";
  await write({ name: "alpha", title: "α live, and the first run", order: 13, adapter, intro }, rows);
});
