/** What can be done with runs, layers and the log. */
import { readFileSync } from "node:fs";
import { expect, test } from "./harness";
import { button, recipe, status } from "./studio";

const text = (name: string, content: string) => ({ name, mimeType: "application/json", buffer: Buffer.from(content) });

test("a run is renamed, hidden, copied as a command, saved and loaded back", async ({ play, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await play("pair");
  const runs = page.getByRole("table", { name: "Runs" });

  await page.getByLabel("Name of run 1").fill("my <b>first</b> run");
  await expect(runs).toContainText("1: my <b>first</b> run");
  await expect(page.getByRole("figure", { name: "Error growth Δ_m" }).getByRole("listitem").first()).toContainText("my <b>first</b> run");

  await expect(page.locator("path.recharts-line-curve")).toHaveCount(2);
  await page.getByLabel("Show run 1 in the chart").uncheck();
  await expect(page.locator("path.recharts-line-curve")).toHaveCount(1);
  await page.getByLabel("Show run 1 in the chart").check();

  await button(page, "Copy as command").click();
  await expect(status(page)).toContainText("The command is copied");
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
    "npx --no-install qep-studio quantize MODEL_DIR --out DIR --calibration public/demo/calibration.jsonl --method gptq --bits 3 --group-size -1 --zeros integer" +
      " --type none --alpha 0.5 --qep-down-proj --alpha-choice given --act-order --mse --windows 4 --window-length 32 --seed 0 --format dense --dense-dtype auto",
  );

  const downloading = page.waitForEvent("download");
  await button(page, "Save recipe.json").click();
  const saved = readFileSync(await (await downloading).path(), "utf8");
  expect(JSON.parse(saved)).toMatchObject({ method: "gptq", bits: 3, qep: { alpha: 0.5 } });

  const load = recipe(page).getByLabel("Load recipe.json");
  await load.setInputFiles(text("recipe.json", saved.replace('"bits": 3', '"bits": 2')));
  await expect(recipe(page).getByLabel("Bits")).toHaveValue("2");
  await expect(status(page)).toContainText("Loaded the recipe from recipe.json");
  await load.setInputFiles(text("recipe.json", '{"bits": 5}'));
  await expect(recipe(page).getByRole("alert")).toContainText("The recipe is not valid: bits must be one of 2, 3, 4, 8");
  await load.setInputFiles(text("recipe.json", '{"bits": '));
  await expect(recipe(page).getByRole("alert")).toContainText("This file is not valid JSON");
  await expect(recipe(page).getByLabel("Bits")).toHaveValue("2");
  await button(page, "Load recipe").click();
  await expect(recipe(page).getByLabel("Bits")).toHaveValue("3");
});

test("runs are sorted and removed", { tag: "@whole" }, async ({ play }) => {
  const page = await play("pair");
  const runs = page.getByRole("table", { name: "Runs" });
  await runs.getByRole("button", { name: "Last Δ" }).click();
  await runs.getByRole("button", { name: "Last Δ" }).click();
  await expect(runs.getByRole("columnheader", { name: "Last Δ" })).toHaveAttribute("aria-sort", "descending");
  await expect(runs.getByRole("radio").first()).toHaveAccessibleName(/^2: GPTQ 3-bit/);
  await button(page, "Remove 2").click();
  await expect(runs.getByRole("radio")).toHaveCount(1);
  await expect(button(page, "Add baseline run")).toBeEnabled();
});

test("runs on several texts stand side by side, and sort by any of them", { tag: "@whole" }, async ({ play }) => {
  const page = await play("texts");
  const runs = page.getByRole("table", { name: "Runs" });
  await expect(runs.getByRole("columnheader", { name: /^On / })).toHaveText([
    "On its calibration text",
    "On demo evaluation text 4 × 32",
    "On a-text-of-my-own-with-a-long-name.jsonl 4 × 32",
  ]);
  const cells = (row: string) =>
    runs
      .getByRole("row")
      .filter({ hasText: row })
      .getByRole("cell", { name: /→|not measured/ });
  // Calibration text, the demo's evaluation text, the person's own.
  await expect(cells("3: GPTQ")).toHaveText([/→/, "not measured", /→ .*, its calibration text$/]);
  await expect(cells("2: GPTQ")).toHaveText([/→/, /→ [\d.]+[+−][\d.]+ %$/, /→ [\d.]+[+−][\d.]+ %$/]);
  const onEvaluation = async (row: string) => Number.parseFloat((await cells(row).nth(1).innerText()).split("→ ")[1]);
  const least = (await onEvaluation("1: GPTQ")) < (await onEvaluation("2: GPTQ")) ? 1 : 2;
  await runs.getByRole("button", { name: "Perplexity on demo evaluation text" }).click();
  await expect(runs.getByRole("radio").first()).toHaveAccessibleName(new RegExp(`^${least}: GPTQ 3-bit`));
  await runs.getByRole("button", { name: "Perplexity on demo evaluation text" }).click();
  await expect(runs.getByRole("radio").first()).toHaveAccessibleName(/^3: GPTQ/);

  const figure = page.getByRole("figure", { name: "Error growth Δ_m" });
  await expect(figure.locator("path.recharts-line-curve")).toHaveCount(3);
  await figure.getByLabel("On").selectOption("demo evaluation text");
  await expect(figure.locator("path.recharts-line-curve")).toHaveCount(2);

  // Which run a row is stays in sight while the texts scroll by.
  const box = page.getByRole("region", { name: "Runs, scrollable" });
  const name = runs.getByRole("radio").first();
  const before = await name.boundingBox();
  await box.evaluate((element) => element.scrollTo({ left: 150 }));
  expect(await box.evaluate((element) => element.scrollLeft)).toBeGreaterThan(0);
  expect((await name.boundingBox())!.x).toBe(before!.x);
});

test("a dragged run can be kept", { tag: "@whole" }, async ({ play }) => {
  const page = await play("dragged");
  const runs = page.getByRole("table", { name: "Runs" });
  await expect(runs).toContainText("follows the slider");
  await button(page, "Keep this run").click();
  await expect(runs).not.toContainText("follows the slider");
  await recipe(page).getByRole("slider").fill("0.9");
  await expect(status(page)).toContainText("Done: GPTQ 3-bit act-order mse + QEP α 0.9");
  await expect(runs.getByRole("radio")).toHaveCount(4);
});

test("a layer is found, chosen by keyboard in the map, and explained", { tag: "@whole" }, async ({ play }) => {
  const page = await play("pair");
  const layers = page.getByRole("table", { name: "Layers" });
  await page.getByLabel("Filter layers").fill("layers.2.");
  await expect(layers.locator("tbody tr")).toHaveCount(7);
  await page.getByLabel("Only layers that needed more damping or fell back").check();
  await expect(page.getByText("No layer matches.")).toBeVisible();
  await page.getByLabel("Only layers that needed more damping or fell back").uncheck();
  await page.getByLabel("Filter layers").fill("");
  await layers.getByRole("button", { name: "Output error" }).click();
  await expect(layers.locator("tbody tr").first()).toContainText("down_proj");

  const map = page.getByRole("table", { name: "Error by block and kind" });
  await map.getByRole("button", { name: /^block 1, q_proj: [\d.]+ %$/ }).focus();
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"]) await page.keyboard.press(key);
  await page.keyboard.press("Enter");
  const layer = page.getByRole("region", { name: "Layer model.layers.2.self_attn.o_proj" });
  await expect(layer).toContainText("32 × 32");
  await expect(layer).toContainText(/input \d+: [\d.]+×/);
  await expect(layer).toContainText(/least, at α\* [\d.]+/);
  await expect(map.getByRole("button", { pressed: true })).toHaveAccessibleName(/^block 3, o_proj/);
  await layer.getByText("Show as table").click();
  await expect(layer.getByRole("table", { name: "Weights before and after" }).locator("tbody tr")).toHaveCount(64);
  await layer.getByRole("button", { name: "Close" }).click();
  await expect(layer).toHaveCount(0);
});

test("the log is filtered, copied and downloaded", { tag: "@whole" }, async ({ play, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await play("warnings");
  const log = page.getByRole("region", { name: "Log", exact: true });
  await expect(log).toContainText("Started: GPTQ 3-bit act-order mse + QEP α 0.5");
  await log.getByLabel("Levels").selectOption("warnings and errors");
  await expect(log).toContainText("damping tried: 0.01, 0.1");
  await expect(log).not.toContainText("Started");
  await log.getByLabel("Levels").selectOption("everything");
  await log.getByLabel("Filter log").fill("tokenizer");
  await expect(log.getByRole("listitem")).toHaveCount(1);
  await button(page, "Copy log").click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^\d{4}-.*Z warning tokenizer\.json is missing.*\n$/);
  const downloading = page.waitForEvent("download");
  await button(page, "Download log").click();
  expect((await downloading).suggestedFilename()).toBe("qep-studio-log.txt");
});

test("the GPU panel tells what is in use", { tag: "@whole" }, async ({ play }) => {
  const page = await play("pair");
  const gpu = page.getByRole("region", { name: "GPU", exact: true });
  await expect(gpu).toContainText("float64 reference");
  await expect(gpu).toContainText(/In use now[\d.]+ [kM]B/);
  await expect(gpu).toContainText(/Peak of last run[\d.]+ [kM]B/);
});

test("leaving during a job is asked about, and not otherwise", async ({ play }) => {
  const page = await play("live");
  const asked: string[] = [];
  page.on("dialog", async (dialog) => {
    asked.push(dialog.type());
    await dialog.dismiss();
  });
  await button(page, "Use the demo model").click();
  await expect(button(page, "Run")).toBeEnabled();
  await button(page, "Run").click();
  await expect(status(page)).toContainText("Quantizing block 2");
  await page.close({ runBeforeUnload: true });
  await expect.poll(() => asked).toEqual(["beforeunload"]);
  await button(page, "Cancel").click();
  await expect(status(page)).toContainText("Cancelled");
  await page.close({ runBeforeUnload: true });
  await expect.poll(() => page.isClosed()).toBe(true);
});
