import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { broken, demoWith, hostileName, noted, type Upload } from "./checkpoints";
import { button, openDemo, openStudio, recipe, region, status, type Watch } from "./studio";

/** One page for all: whatever is dropped on it, it has to stay usable. */
let page: Page;
let watch: Watch;

test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  watch = await openStudio(page);
  await openDemo(page);
});

test.afterAll(() => page.close());

test.afterEach(async () => {
  expect(await page.locator("body").innerText()).not.toMatch(/^\s*at .+:\d+:\d+/m);
  expect(await page.evaluate(() => "hacked" in window)).toBe(false);
  expect(watch).toEqual({ outside: [], faults: [] });
});

/** Playwright hands files over by path far faster than by content. */
function onDisk(files: Upload[], folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  return files.map(({ name, buffer }) => {
    writeFileSync(join(folder, name), buffer);
    return join(folder, name);
  });
}

for (const [what, files, sentence] of broken) {
  test(what, async ({ browserName: _ }, info) => {
    await region(page)
      .getByLabel("Choose files")
      .setInputFiles(onDisk(files(), info.outputPath("model")));
    await expect(region(page).getByRole("alert")).toContainText(sentence);
    await expect(status(page)).toContainText(sentence);
    // The demo is still open, and can be opened again.
    await expect(region(page)).toContainText("QEP demo");
    await openDemo(page);
    await expect(region(page).getByRole("alert")).toHaveCount(0);
  });
}

for (const [what, files, note] of noted) {
  test(`tells of ${what}`, async ({ browserName: _ }, info) => {
    await region(page)
      .getByLabel("Choose files")
      .setInputFiles(onDisk(files(), info.outputPath("model")));
    await expect(region(page)).toContainText(note);
    await openDemo(page);
  });
}

test("the same files, whole, are opened", async () => {
  await region(page).getByLabel("Choose files").setInputFiles(demoWith());
  await expect(status(page)).toContainText("Opened model");
  await expect(region(page)).toContainText("LlamaForCausalLM");
});

test("a folder with a hostile name is opened, and its name stays text", async ({ browserName: _ }, info) => {
  const folder = info.outputPath(hostileName);
  onDisk(demoWith(), folder);
  await region(page).getByLabel("Choose folder").setInputFiles(folder);
  await expect(status(page)).toContainText(`Opened ${hostileName}`);
  await expect(region(page)).toContainText(hostileName);
  expect(await page.locator("img").count()).toBe(0);
});

test("a calibration text that is too short stops the run before it starts", async () => {
  await openDemo(page);
  await recipe(page).getByText("Advanced").click();
  await recipe(page).getByLabel("Pasted text").check();
  await recipe(page).getByLabel("Calibration text, pasted").fill("Once upon a time.");
  await expect(recipe(page)).toContainText("The text is too short");
  await expect(status(page)).toContainText("The text is too short");
  await expect(button(page, "Run")).toBeDisabled();
  await recipe(page).getByLabel("Demo text").check();
  await expect(button(page, "Run")).toBeEnabled();
});

test("texts are read by what they hold, and what is not found can be named", async ({ browserName: _ }, info) => {
  const sentence = "The little fox went to the river and drank. ".repeat(400);
  const [named, unknown] = onDisk(
    [
      { name: "array.txt", mimeType: "text/plain", buffer: Buffer.from(JSON.stringify([{ text: sentence }])) },
      { name: "caption.jsonl", mimeType: "text/plain", buffer: Buffer.from(JSON.stringify({ caption: sentence, id: 1 })) },
    ],
    info.outputPath("texts"),
  );
  const calibration = recipe(page);
  await calibration.getByLabel("Own file").check();
  await calibration.getByLabel("Calibration text file").setInputFiles(unknown);
  await expect(calibration).toContainText("has no field that is known to hold text; its fields are caption, id");
  await calibration.getByLabel("Field that holds the text").fill("caption");
  await expect(calibration).not.toContainText("has no field");
  await calibration.getByLabel("Calibration text file").setInputFiles(named);
  await calibration.getByLabel("Field that holds the text").fill("");
  await expect(calibration).not.toContainText("cannot be read");
  await calibration.getByLabel("Demo text").check();
});

test("a group that does not divide names the layer and the sizes that fit", async () => {
  await recipe(page).getByLabel("Group size").selectOption("128");
  await expect(recipe(page)).toContainText(/128 does not divide the 64 inputs of .*_proj.*Sizes that fit/);
  await expect(button(page, "Run")).toBeDisabled();
  await recipe(page).getByLabel("Group size").selectOption("64");
  await expect(button(page, "Run")).toBeEnabled();
});

test("dropped files are opened as chosen ones are", async () => {
  const uploads = demoWith().map(({ name, buffer }) => ({ name, base64: buffer.toString("base64") }));
  const dropped = await page.evaluateHandle(async (given) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of given) transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    return transfer;
  }, uploads);
  await page.getByText("Choose files").dispatchEvent("drop", { dataTransfer: dropped });
  await expect(status(page)).toContainText("Opened model");
});
