/** Files checked in the page: its own export and a damaged one, beside the open model and without WebGPU. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { demoWith, type Upload } from "./checkpoints";
import { button, openDemo, openStudio, recipe, region, seriousFindings, status, untilDone } from "./studio";
import { unzip } from "./unzip";

const root = new URL("../../", import.meta.url).pathname;
const upload = (name: string, buffer: Buffer): Upload => ({ name, mimeType: "application/octet-stream", buffer });

async function check(page: Page, files: Upload[], said: RegExp): Promise<void> {
  await page.getByLabel("Check files").setInputFiles(files);
  await expect(status(page)).toContainText(said);
}

const found = (page: Page) =>
  region(page)
    .getByRole("list")
    .filter({ hasText: /\bok\b|error/ })
    .last();

/** Neither the page nor its worker, which has a navigator of its own, finds WebGPU. */
async function withoutGpu(page: Page): Promise<void> {
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined }));
  await page.route(/worker.*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `delete WorkerNavigator.prototype.gpu;\n${await response.text()}` });
  });
}

test("an export shows its verdict and digests, is found sound, and a damaged one is named", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const watch = await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await recipe(page).getByRole("slider").fill("0");
  await untilDone(page, "Run", /Done: RTN 3-bit first 1 blocks/);

  const downloading = page.waitForEvent("download");
  await untilDone(page, "Download as zip", /Done: \d+ files/);
  const zip = readFileSync(await (await downloading).path());
  const files = new Map([...unzip(zip)].map(([path, content]) => [path.split("/").at(-1)!, content]));
  const sha256 = createHash("sha256").update(files.get("model.safetensors")!).digest("hex");

  await test.step("the verdict and the digests are those of the files", async () => {
    const panel = page.getByRole("region", { name: "Export" });
    await expect(panel).toContainText(/Read back: 111 tensors, .*, each byte as it was to be written\./);
    await expect(panel).toContainText(`${sha256.slice(0, 12)}…`);
    await button(page, "Copy SHA-256 of model.safetensors").click();
    await expect(status(page)).toContainText("The SHA-256 of model.safetensors is copied.");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(sha256);
    const certificate = JSON.parse(files.get("certificate.json")!.toString());
    for (const { name, sha256: named } of certificate.written)
      expect(createHash("sha256").update(files.get(name)!).digest("hex")).toBe(named);
    const source = demoWith().map(({ name, buffer }) => [name, createHash("sha256").update(buffer).digest("hex")]);
    expect(certificate.source.map(({ name, sha256: named }: { name: string; sha256: string }) => [name, named])).toEqual(source.sort());
  });

  await test.step("the zip is sound beside the open model", async () => {
    await page.getByText("Check a file instead").click();
    await region(page).getByLabel("It was made from QEP demo").check();
    await check(page, [upload("out.zip", zip)], /Checked out\.zip: the files are sound/);
    await expect(found(page)).toContainText("84 linear layers are the original's within");
    await expect(found(page)).toContainText("are those of certificate.json");
    await page.getByText("84 layers beside QEP demo’s").click();
    const rows = region(page).getByRole("table").locator("tbody tr");
    await expect(rows).toHaveCount(84);
    // The worst first: the block that was quantized to 3 bits; all others were copied.
    await expect(rows.first()).toContainText(/model\.layers\.0\..*0\.\d+F16/);
    await expect(rows.last()).toContainText(/_proj0BF16$/);
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("a file that was cut off is named", async () => {
    const parts = [...files].map(([name, content]) => upload(name, name === "model.safetensors" ? content.subarray(0, -64) : content));
    await check(page, parts, /the files are not sound/);
    await expect(found(page)).toContainText("This file is shorter than its header says");
    await expect(found(page)).toContainText("Weights are not those that certificate.json names.");
    expect(await seriousFindings(page)).toEqual([]);
  });

  await test.step("the model and its run are still there", async () => {
    await expect(button(page, "Download as zip")).toBeEnabled();
    await expect(region(page)).toContainText("LlamaForCausalLM");
  });

  await test.step("the zip opens", async () => {
    await expect(page.getByText(/Keep this page open/)).toBeVisible();
    await page.getByLabel("Choose files").setInputFiles([upload("out.zip", zip)]);
    await expect(status(page)).toContainText("Opened out.");
    await expect(page.getByText(/Keep this page open/)).toHaveCount(0);
    await expect(region(page)).toContainText("722 thousand");
  });
  expect(watch).toEqual({ outside: [], faults: [] });
});

test("without WebGPU, and with no model open", async ({ page }) => {
  await withoutGpu(page);
  const watch = await openStudio(page);
  await expect(page.getByRole("alert")).toContainText("This browser offers no WebGPU");
  await page.getByText("Check a file instead").click();
  await expect(region(page)).toContainText("Open the original first to compare each layer with it.");
  await check(page, demoWith(), /the files are sound/);
  await expect(found(page)).toContainText("111 tensors were read: they are whole, and their values are finite.");
  const dropped = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no header"], "model.safetensors"));
    return transfer;
  });
  const target = page.getByRole("group", { name: "Check a file instead" });
  await target.dispatchEvent("drop", { dataTransfer: dropped });
  await expect(status(page)).toContainText("Checked model.safetensors: the files are not sound");
  await expect(found(page)).toContainText("There is no config.json");

  const nan = demoWith({
    "model-00002-of-00002.safetensors": (content) => {
      const changed = Buffer.from(content);
      // The last two words are weights of 16 bits: all ones is NaN in bf16 as in f16.
      changed.fill(0xff, changed.length - 4);
      return changed;
    },
  });
  await check(page, nan, /the files are not sound/);
  await expect(found(page)).toContainText("Weights are NaN or infinite.");
  expect(watch).toEqual({ outside: [], faults: [] });
});

test("the same run has the same weights and certificate on the page and on the command line", async ({ page }) => {
  await withoutGpu(page);
  await openStudio(page);
  await button(page, "Run the demo on the CPU reference").click();
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await expect(button(page, "Run")).toBeEnabled();
  await untilDone(page, "Run", "Done: GPTQ 3-bit");
  const downloading = page.waitForEvent("download");
  await untilDone(page, "Download as zip", /Done: \d+ files/);
  const files = unzip(readFileSync(await (await downloading).path()));
  const folder = mkdtempSync(join(tmpdir(), "qep-same-"));
  try {
    for (const [path, content] of files) if (path.endsWith("recipe.json")) writeFileSync(join(folder, "recipe.json"), content);
    const demo = join(root, "public/demo");
    const options = ["--recipe", join(folder, "recipe.json"), "--calibration", join(demo, "calibration.jsonl"), "--cpu"];
    const command = [join(root, "bin/qep-studio.mjs"), "quantize", join(demo, "model"), "--out", join(folder, "out"), ...options];
    const { status: code, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
    expect(stderr).toContain("read back and verified");
    expect(code).toBe(0);
    for (const [path, content] of files) {
      const name = path.split("/").at(-1)!;
      // The card names the model's folder, and the demo has none on the page.
      if (name !== "README.md") expect(readFileSync(join(folder, "out", name)).equals(content), name).toBe(true);
    }
    expect([...files.keys()].map((path) => path.split("/").at(-1))).toContain("certificate.json");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
