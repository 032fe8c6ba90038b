/** axe in both themes, and one primary button, in every state that a person can meet. */
import { expect, test } from "./harness";
import { seriousFindings } from "./studio";

const states: [state: string, next: string | null][] = [
  ["empty", "Use the demo model"],
  ["opened", "Run"],
  ["running", null],
  ["layer", "Measure perplexity"],
  ["dragging", null],
  ["measured", "Export"],
  ["scored", "Export"],
  ["texts", "Add baseline run"],
  ["many", "Measure perplexity"],
  ["failed", "Restart the worker"],
  ["no-gpu", "Run the demo on the CPU reference"],
  ["bad-file", "Use the demo model"],
  ["group-size", null],
  ["warnings", null],
];

/** `npm test` looks at the fullest page and at one without a model, `npm run e2e` at all. */
const usual = ["empty", "layer"];

for (const [state, next] of states) {
  test(state, { tag: usual.includes(state) ? [] : "@whole" }, async ({ play }) => {
    const page = await play(state);
    const primary = await page.locator("button[class*=primary]:not([disabled])").allInnerTexts();
    expect(primary).toEqual(next === null ? [] : [next]);
    expect(await seriousFindings(page)).toEqual([]);
    await page.setViewportSize({ width: 400, height: 800 });
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(400);
  });
}
