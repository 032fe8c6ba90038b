import { readFileSync } from "node:fs";
import { expect, type Locator, test } from "@playwright/test";
import { readHeader } from "../../src/io/header";
import { bytesFile } from "../../src/io/memory";
import { gateEngine } from "./gate";
import { button, curves, openDemo, openStudio, recipe, seriousFindings, status, untilDone } from "./studio";
import { unzip } from "./unzip";

test("from the demo to an exported checkpoint", async ({ page }) => {
  const watch = await openStudio(page);
  const gate = await gateEngine(page);
  expect(await seriousFindings(page)).toEqual([]);
  await expect(recipe(page).getByLabel("Preset")).toHaveValue("good");
  await openDemo(page, "Good");
  await expect(recipe(page).getByLabel("Bits")).toHaveValue("3");
  await expect(recipe(page).getByLabel("Method")).toHaveValue("gptq");
  await expect(recipe(page).getByRole("slider", { name: "QEP strength α" })).toHaveValue("0.5");
  await expect(page.getByRole("region", { name: "Run", exact: true })).toContainText(
    /MB BF16 → .* bits per weight once packed · 2,048 tokens · peak GPU/,
  );

  const figure = page.getByRole("figure", { name: "Error growth Δ_m" });
  await test.step("the curve grows while it runs", async () => {
    // Several layers of every block wait for the device.
    await gate.holdAfter(60);
    await button(page, "Run").click();
    await gate.held();
    await expect(status(page)).toContainText(/Quantizing block \d+ of 12 · \d+ %/);
    await figure.getByText("Show as table").click();
    await expect(page.getByRole("progressbar")).toBeVisible();
    await expect.poll(async () => (await curves(page))[0]?.length).toBeGreaterThan(0);
    expect((await curves(page))[0].length).toBeLessThan(12);
    await gate.release();
    await expect(status(page)).toContainText("Done: GPTQ 3-bit act-order mse + QEP α 0.5");
    await expect(page.getByRole("table", { name: "Layers" }).locator("tbody tr")).toHaveCount(84);
  });

  await test.step("QEP ends below its baseline", async () => {
    await untilDone(page, "Add baseline run", /Done: GPTQ 3-bit act-order mse in/);
    const [qep, base] = await curves(page);
    expect(qep).toHaveLength(12);
    expect(base).toHaveLength(12);
    expect(qep[11]).toBeLessThan(base[11]);
    await expect(figure.locator("path.recharts-line-curve")).toHaveCount(2);
    await expect(page.getByText(/On the calibration text its Δ ends \d+ % below the baseline’s/)).toBeVisible();
    await expect(page.getByText("not measured yet")).toBeVisible();
    await expect(button(page, "Add baseline run")).toBeDisabled();
  });

  await test.step("perplexity before and after", async () => {
    await untilDone(page, "Measure perplexity", /Done: perplexity of 2 runs/);
    const cells = await page.getByRole("table", { name: "Runs" }).getByRole("cell", { name: "→" }).allInnerTexts();
    const [[before, qep], [, base]] = cells.map((cell) => cell.split(" → ").map(Number.parseFloat));
    expect(before).toBeGreaterThan(1);
    expect(qep).toBeGreaterThan(before);
    // Perplexity moves by chance as much as QEP moves it at 3 bits.
    expect(qep).toBeLessThan(1.005 * base);
    await expect(page.getByText(/On demo evaluation text \d+ % below/)).toBeVisible();
    // How far predictions are from the original's goes the same way.
    const measured = page.getByRole("region", { name: "Perplexity" }).getByRole("rowgroup").filter({ hasText: "GPTQ 3-bit" });
    const figures = async (row: Locator) => (await row.getByRole("cell").allInnerTexts()).slice(-2).map(Number.parseFloat);
    const [[qepKl, qepSame], [baseKl, baseSame]] = await Promise.all((await measured.all()).map(figures));
    expect(qepKl).toBeGreaterThan(0);
    expect(qepKl).toBeLessThan(baseKl);
    expect(qepSame).toBeGreaterThan(baseSame);
    expect(qepSame).toBeLessThan(100);
  });

  await test.step("the table shows relative errors too", async () => {
    await page.getByLabel("Relative to ‖h‖²").check();
    await expect(page.getByRole("table", { name: "Growth by block" })).toContainText("%");
  });
  expect(await seriousFindings(page)).toEqual([]);

  await test.step("the export is a checkpoint that a strict reader takes", async () => {
    const downloading = page.waitForEvent("download");
    await button(page, "Download as zip").click();
    const download = await downloading;
    expect(download.suggestedFilename()).toBe("QEP-demo-gptq-3bit-qep-0.5.zip");
    await expect(status(page)).toContainText("Done: ");
    const files = unzip(readFileSync(await download.path()));
    const names = [...files.keys()].map((path) => path.split("/").at(-1)!);
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "recipe.json", "README.md"])
      expect(names).toContain(name);
    const weights = [...files].filter(([name]) => name.endsWith(".safetensors"));
    expect(weights.length).toBeGreaterThan(0);
    for (const [name, content] of weights) expect((await readHeader(bytesFile(name, content))).tensors.length).toBeGreaterThan(0);
    const recipeFile = [...files].find(([name]) => name.endsWith("recipe.json"))![1];
    expect(JSON.parse(recipeFile.toString())).toMatchObject({ method: "gptq", bits: 3, qep: { alpha: 0.5 } });
  });

  expect(watch).toEqual({ outside: [], faults: [] });
});

test("cancel stops a run where it is, and the next run works", { tag: "@whole" }, async ({ page }) => {
  await openStudio(page);
  const gate = await gateEngine(page);
  await openDemo(page);
  await gate.holdAfter(60);
  await button(page, "Run").click();
  await gate.held();
  await expect(status(page)).toContainText(/Quantizing block \d+ of 12/);
  await button(page, "Cancel").click();
  await expect(status(page)).toContainText("Cancelling");
  await gate.release();
  await expect(status(page)).toContainText("Cancelled");
  await expect(page.getByRole("table", { name: "Runs" })).toContainText("cancelled");
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await recipe(page).getByRole("slider").fill("0");
  await untilDone(page, "Run", /Done: RTN 3-bit first 1 blocks/);
  await expect(button(page, "Add QEP run")).toBeEnabled();
});

test("export into a folder, past a closed dialog, and with a full disk", async ({ page }) => {
  // The dialog is the browser's own; the origin's private file system stands in for the folder that a person would choose.
  await page.addInitScript(() => {
    let closed = false;
    Object.assign(window, {
      async showDirectoryPicker() {
        if (closed) return navigator.storage.getDirectory();
        closed = true;
        throw new DOMException("The user aborted a request.", "AbortError");
      },
    });
  });
  await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await untilDone(page, "Run", "Done: RTN 3-bit");

  await test.step("a closed dialog changes nothing", async () => {
    await button(page, "Export").click();
    await expect(button(page, "Export")).toBeEnabled();
    await expect(status(page)).toContainText("Done: RTN 3-bit");
  });

  await test.step("a folder gets the checkpoint in one of its own", async () => {
    await untilDone(page, "Export", "in the folder QEP-demo-rtn-3bit-qep-0.5-first-1");
    const names = await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const folder = await root.getDirectoryHandle("QEP-demo-rtn-3bit-qep-0.5-first-1");
      const found: string[] = [];
      for await (const name of folder.keys()) found.push(name);
      return found;
    });
    for (const name of ["config.json", "model.safetensors", "README.md", "recipe.json", "tokenizer.json"]) expect(names).toContain(name);
    await page.evaluate(async () =>
      (await navigator.storage.getDirectory()).removeEntry("QEP-demo-rtn-3bit-qep-0.5-first-1", { recursive: true }),
    );
  });

  await test.step("a full disk is said, and the run is still there", async () => {
    const cdp = await page.context().newCDPSession(page);
    const origin = new URL(page.url()).origin;
    await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 100_000 });
    await untilDone(page, "Download as zip", "There is not enough room to write the result");
    await cdp.send("Storage.overrideQuotaForOrigin", { origin });
    const downloading = page.waitForEvent("download");
    await untilDone(page, "Download as zip", "Done: ");
    await downloading;
  });

  await test.step("zips are kept for their downloads, and deleted once the page has gone", async () => {
    const kept = () =>
      page.evaluate(async () => {
        const names: string[] = [];
        const zips = await (await navigator.storage.getDirectory()).getDirectoryHandle("zips");
        for await (const name of zips.keys()) names.push(name);
        const { pending = [] } = await navigator.locks.query();
        return { names, waited: pending.filter(({ name }) => names.some((zip) => name === `zips/${zip}`)).length };
      });
    const downloading = page.waitForEvent("download");
    await untilDone(page, "Download as zip", "Done: ");
    await downloading;
    await expect(page.getByText(/Keep this page open until the browser has saved QEP-demo-rtn-3bit/)).toBeVisible();
    // The page waits for the locks of both, which the worker has.
    await expect.poll(kept).toMatchObject({ names: [expect.any(String), expect.any(String)], waited: 2 });
    await page.reload();
    await expect(page.getByRole("banner")).not.toContainText("Looking for a GPU");
    expect(await kept()).toEqual({ names: [], waited: 0 });
  });
});

test("a GPU that is lost while measuring is replaced, and the measurement started over", { tag: "@whole" }, async ({ page, browser }) => {
  await openStudio(page);
  const gate = await gateEngine(page);
  await openDemo(page);
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await untilDone(page, "Run", "Done: RTN 3-bit");
  await gate.holdAfter(10);
  await button(page, "Measure perplexity").click();
  await gate.held();
  await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
  await gate.release();
  await expect(status(page)).toContainText("Done: perplexity of 1 run");
  await expect(page.getByRole("region", { name: "Log", exact: true })).toContainText("Starting over on a new one.");
});

test("the whole way by keyboard alone, from open to export", async ({ page }) => {
  await openStudio(page);
  const alpha = recipe(page).getByRole("slider", { name: "QEP strength α" });
  /** Tab until it has the focus, as a person would; never further than round the page. */
  async function tabTo(target: Locator) {
    for (let i = 0; i < 150; i++) {
      if (await target.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`${target} cannot be reached by Tab`);
  }
  async function press(name: string) {
    await expect(button(page, name)).toBeEnabled();
    await tabTo(button(page, name));
    await page.keyboard.press("Enter");
  }
  await press("Use the demo model");
  await expect(button(page, "Run")).toBeEnabled();
  await tabTo(recipe(page).getByLabel("Blocks to quantize"));
  await page.keyboard.press("ArrowDown");
  await expect(recipe(page).getByLabel("Blocks to quantize")).toHaveValue("1");
  await tabTo(alpha);
  await page.keyboard.press("Home");
  await expect(alpha).toHaveAttribute("aria-valuetext", /QEP off/);
  await page.keyboard.press("ArrowRight");
  await expect(alpha).toHaveValue("0.05");
  await press("Run");
  await expect(status(page)).toContainText("Done: GPTQ 3-bit act-order mse + QEP α 0.05 first 1 blocks");
  await tabTo(page.getByRole("slider", { name: "Drag α" }));
  await page.keyboard.press("End");
  await expect(status(page)).toContainText("Done: GPTQ 3-bit act-order mse + QEP α 1 first 1 blocks");
  await tabTo(page.getByRole("table", { name: "Error by block and kind" }).getByRole("button").first());
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Layer model.layers.0.self_attn.k_proj" })).toContainText("32 × 64");
  await tabTo(button(page, "Output error"));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("columnheader", { name: "Output error" })).toHaveAttribute("aria-sort", "descending");
  const downloading = page.waitForEvent("download");
  await press("Download as zip");
  expect((await downloading).suggestedFilename()).toBe("QEP-demo-gptq-3bit-qep-1-first-1.zip");
});
