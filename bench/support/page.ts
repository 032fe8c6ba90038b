/** What the page's parts share. */
import type { Page } from "@playwright/test";
import { recipe } from "../../tests/e2e/studio";

export const slider = (page: Page) => recipe(page).getByRole("slider", { name: "QEP strength α" });

/** The page's adapter and the browser, in words. */
export async function adapterOf(page: Page): Promise<string> {
  const name = await page.evaluate(async () => {
    const info = (await navigator.gpu.requestAdapter())?.info;
    return info ? info.description || [info.vendor, info.architecture].filter(Boolean).join(" ") : "no adapter";
  });
  return `${name} in Chromium ${page.context().browser()?.version() ?? ""}`.trim();
}
