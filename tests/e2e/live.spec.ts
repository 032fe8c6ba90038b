import { expect, type Page, test } from "@playwright/test";
import { gateEngine } from "./gate";
import { button, curves, openDemo, openStudio, recipe, status, untilDone } from "./studio";

const slider = (page: Page) => recipe(page).getByRole("slider", { name: "QEP strength α" });
const runsTable = (page: Page) => page.getByRole("table", { name: "Runs" });

test("dragging α: cancel, regrowth, recall", async ({ page }) => {
  const watch = await openStudio(page);
  const gate = await gateEngine(page);
  // On few tokens: here no number counts, only what happens.
  await openDemo(page);
  await recipe(page).getByText("Advanced").click();
  await recipe(page).getByLabel("Calibration windows").fill("4");
  await recipe(page).getByLabel("Window length").fill("64");
  await expect(page.getByRole("region", { name: "Run", exact: true })).toContainText("256 tokens");
  const before = await gate.passed();
  await untilDone(page, "Run", "Done: RTN 3-bit + QEP α 0.5");
  const third = Math.floor(((await gate.passed()) - before) / 3);
  await page.getByRole("figure", { name: "Error growth Δ_m" }).getByText("Show as table").click();
  await expect(page.getByRole("group", { name: "α live" })).toBeVisible();
  const drawn = page.locator("path.recharts-line-curve");

  /** How far the curve of the run under way has come. */
  const grown = async () => (await curves(page))[1]?.length ?? 0;
  async function growsTo(alpha: string) {
    await gate.held();
    await expect(status(page)).toContainText(new RegExp(`α ${alpha}: block \\d+ of 12`));
    await expect.poll(grown).toBeGreaterThan(1);
    expect(await grown()).toBeLessThan(12);
  }

  await test.step("a drag starts a run of the new α, and the curve grows over the chart", async () => {
    await gate.holdAfter(third);
    await slider(page).fill("0.7");
    await growsTo("0\\.7");
    await expect(runsTable(page).getByRole("radio")).toHaveCount(2);
  });

  await test.step("the next α cancels it at once and grows its own", async () => {
    await page.evaluate(() => {
      const seen: string[] = [];
      Object.assign(window, { seen });
      const watched = document.querySelector('[role="status"]')!;
      new MutationObserver(() => seen.push(watched.textContent ?? "")).observe(watched, {
        subtree: true,
        childList: true,
        characterData: true,
      });
    });
    await slider(page).fill("0.75");
    await slider(page).fill("0.8");
    await expect(status(page)).toContainText("Cancelling");
    await slider(page).fill("0.9");
    await gate.holdAfter(third);
    await growsTo("0\\.9");
    await gate.release();
    await expect(status(page)).toContainText("Done: RTN 3-bit + QEP α 0.9");
    const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen.join("\n"));
    expect(seen).not.toMatch(/α 0\.7: block 12|α 0\.75: block|α 0\.8: block/);
    await expect(runsTable(page).getByRole("radio")).toHaveCount(2);
    await expect(runsTable(page)).toContainText("follows the slider");
  });

  await test.step("while the next one grows, the finished curve is still to be seen beneath", async () => {
    await gate.holdAfter(third);
    await slider(page).fill("0.2");
    await growsTo("0\\.2");
    await expect(drawn).toHaveCount(3);
    await gate.release();
    await expect(status(page)).toContainText("Done: RTN 3-bit + QEP α 0.2");
    await expect(drawn).toHaveCount(2);
  });

  await test.step("a finished α is back without a run", async () => {
    const [, at02] = await curves(page);
    await button(page, "α 0.9").click();
    await expect(status(page)).toContainText("α 0.9 was finished before");
    const [, at09] = await curves(page);
    expect(at09).toHaveLength(12);
    expect(at09).not.toEqual(at02);
    await slider(page).fill("0.2");
    await expect(status(page)).toContainText("α 0.2 was finished before");
    expect((await curves(page))[1]).toEqual(at02);
    await slider(page).fill("0.5");
    await expect(runsTable(page).getByRole("radio")).toHaveCount(1);
    await expect(runsTable(page).getByRole("radio")).toBeChecked();
  });

  await test.step("switched off, it only sets the recipe", async () => {
    await page.getByLabel("Live", { exact: true }).uncheck();
    await slider(page).fill("0.6");
    await expect(slider(page)).toHaveValue("0.6");
    await expect(button(page, "Cancel")).toBeDisabled();
    await expect(runsTable(page).getByRole("radio")).toHaveCount(1);
  });

  await test.step("the chosen layer's curve follows the slider at once", async () => {
    await button(page, "block 4, o_proj")
      .or(page.getByRole("button", { name: /^block 4, o_proj:/ }))
      .click();
    const layer = page.getByRole("region", { name: "Layer model.layers.3.self_attn.o_proj" });
    const figure = layer.getByRole("figure", { name: "Output error over α, before rounding" });
    await expect(figure).toContainText("exact for this layer’s inputs in this run");
    const at = async () => figure.getByText("at the slider’s α").locator("xpath=..").innerText();
    const before = await at();
    await slider(page).fill("0.1");
    await expect(figure).toContainText("at the slider’s α 0.10");
    expect(await at()).not.toBe(before);
    await expect(layer).toContainText("64 × 64");
    await expect(layer.getByRole("figure", { name: "Weights before and after" })).toBeVisible();
    // Nor did it run anything in the meantime.
    await expect(runsTable(page).getByRole("radio")).toHaveCount(1);
  });
  expect(watch).toEqual({ outside: [], faults: [] });
});
