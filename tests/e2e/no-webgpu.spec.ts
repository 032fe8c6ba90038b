import { expect, test } from "@playwright/test";
import { findChromium } from "../../scripts/find.mjs";
import { button, openStudio, seriousFindings, status } from "./studio";

// Without --enable-unsafe-webgpu, and with the feature off, neither page nor worker has an adapter.
test.use({
  launchOptions: { executablePath: findChromium() ?? undefined, args: ["--no-sandbox", "--disable-features=WebGPU", "--disable-gpu"] },
});

test("without WebGPU the page says why and runs the demo on the CPU reference", async ({ page }) => {
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined }));
  const watch = await openStudio(page);
  const banner = page.getByRole("alert");
  await expect(banner).toContainText("This browser offers no WebGPU");
  await expect(status(page)).toContainText("No WebGPU adapter is available");
  await banner.getByText("How to get WebGPU").click();
  for (const browser of ["Chrome", "Safari", "Firefox"]) await expect(banner).toContainText(browser);
  expect(await seriousFindings(page)).toEqual([]);

  await button(page, "Run the demo on the CPU reference").click();
  await expect(page.getByRole("banner")).toContainText("CPU reference");
  await page.getByRole("group", { name: "Recipe", exact: true }).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await expect(button(page, "Run")).toBeEnabled();
  await button(page, "Run").click();
  await expect(status(page)).toContainText("Done: GPTQ 3-bit");
  expect(watch).toEqual({ outside: [], faults: [] });
});
