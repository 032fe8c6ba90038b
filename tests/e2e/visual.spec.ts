/** The drawings of the charts from recorded events. Words are left out: fonts differ from machine to machine. */
import type { Locator, Page } from "@playwright/test";
import { expect, test } from "./harness";

const wordless = `* { color: transparent !important; animation: none !important; caret-color: transparent !important; }
  svg text { visibility: hidden !important; } :focus-visible { outline: none !important; }`;

async function picture(page: Page, drawing: Locator, name: string) {
  await page.addStyleTag({ content: wordless });
  await drawing.scrollIntoViewIfNeeded();
  await expect(drawing).toHaveScreenshot(`${name}.png`, { maxDiffPixelRatio: 0.02, threshold: 0.25 });
}

const growth = (page: Page) => page.locator(".recharts-wrapper svg.recharts-surface").first();

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, { tag: "@whole" }, () => {
    test.use({ colorScheme, blocks: 12 });

    test("the growth of a pair of runs", async ({ play }) => {
      const page = await play("pair");
      await picture(page, growth(page), `growth-pair-${colorScheme}`);
    });

    test("a new α growing over the one before", async ({ play }) => {
      const page = await play("dragging");
      await picture(page, growth(page), `growth-dragging-${colorScheme}`);
    });

    test("a layer's α curve and histogram", async ({ play }) => {
      const page = await play("layer");
      const layer = page.getByRole("region", { name: /^Layer model/ });
      await picture(page, layer.getByRole("figure", { name: "Output error over α" }).locator("svg").first(), `curve-${colorScheme}`);
      await picture(page, layer.getByRole("figure", { name: "Weights" }).locator("svg").first(), `histogram-${colorScheme}`);
    });

    test("the map of the layers", async ({ play }) => {
      const page = await play("pair");
      // Its first column is as wide as words are.
      await page.addStyleTag({
        content: "table[data-figures] { table-layout: fixed; } table[data-figures] th:first-child { width: 80px; }",
      });
      await picture(page, page.getByRole("table", { name: "Error by block and kind" }).locator("tbody"), `map-${colorScheme}`);
    });
  });
}
