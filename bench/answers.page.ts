/** How soon the page answers while the engine works. `npm run bench -- --only answers` */
import { expect, type Page, test } from "@playwright/test";
import { button, openDemo, openStudio, recipe, status, untilDone } from "../tests/e2e/studio";
import { adapterOf, slider } from "./support/page";
import { fact, type Row, write } from "./support/report";

const rows: Row[] = [];
let adapter = "";

test.afterAll(async () => {
  const intro = "The demo model on 16 windows of 64 tokens, in the page.";
  // Only whole: what is left of a failed run would take the place of a good one's numbers.
  if (rows.length === 4)
    await write({ name: "answers", title: "How soon the page answers while the engine works", order: 15, adapter, intro }, rows);
});

const tell = (what: string, times: readonly number[]) => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => `${Math.round(sorted[Math.floor((sorted.length - 1) * share)])} ms`;
  rows.push(fact(what, `median ${at(0.5)}, 90 % within ${at(0.9)}, worst ${at(1)} of ${sorted.length}`));
};

/** The demo, run once on 16 windows of 64 tokens. */
async function ran(page: Page) {
  await openStudio(page);
  adapter = await adapterOf(page);
  await openDemo(page);
  await recipe(page).getByText("Advanced").click();
  await recipe(page).getByLabel("Window length").fill("64");
  await untilDone(page, "Run", "Done: RTN 3-bit + QEP α 0.5");
}

test("from a key to the next frame, and updates of the chart a second, while a run is going", async ({ page }) => {
  await ran(page);
  await page.getByLabel("Live", { exact: true }).uncheck();
  await page.evaluate(() => {
    const delays: number[] = [];
    const drawn: number[] = [];
    Object.assign(window, { delays, drawn });
    window.addEventListener("keydown", (event) => requestAnimationFrame(() => delays.push(performance.now() - event.timeStamp)), true);
    const chart = document.querySelector(".recharts-wrapper")!;
    new MutationObserver(() => drawn.push(performance.now())).observe(chart, { subtree: true, childList: true, attributes: true });
  });
  await button(page, "Run").click();
  await expect(status(page)).toContainText("Quantizing block");
  await slider(page).focus();
  for (let i = 0; i < 100 && !(await button(page, "Cancel").isDisabled()); i++) {
    await page.keyboard.press(i % 2 ? "ArrowLeft" : "ArrowRight");
    await page.waitForTimeout(40);
  }
  const { delays, drawn } = await page.evaluate(() => {
    const page = window as unknown as { delays: number[]; drawn: number[] };
    return { delays: page.delays, drawn: page.drawn };
  });
  tell("From a key to the next frame during a run", delays);
  // One update of the chart is many changes of its nodes, all within a frame or two.
  const updates = drawn.filter((t, i) => i === 0 || t - drawn[i - 1] > 40);
  const seconds = (drawn.at(-1)! - drawn[0]) / 1000;
  rows.push(fact("Updates of the chart during a run", `${(updates.length / seconds).toFixed(1)} a second`));
});

test("from a new α to its first block, and from Cancel to “Cancelled”", async ({ page }) => {
  await ran(page);
  const drags: number[] = [];
  for (const alpha of ["0.7", "0.75", "0.8", "0.85"]) {
    const started = performance.now();
    await slider(page).fill(alpha);
    await expect(status(page)).toContainText(`α ${alpha}: block`);
    drags.push(performance.now() - started);
  }
  tell("From a new α to its first block, while the α before it is under way", drags);
  await expect(status(page)).toContainText("Done");
  const cancels: number[] = [];
  for (let i = 0; i < 4; i++) {
    await button(page, "Run").click();
    await expect(status(page)).toContainText("Quantizing block");
    const started = performance.now();
    await button(page, "Cancel").click();
    await expect(status(page)).toContainText("Cancelled");
    cancels.push(performance.now() - started);
  }
  tell("From Cancel to “Cancelled”", cancels);
});
