/** The page as a person finds it: by role and name. */
import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";

export interface Watch {
  /** Requests that left the origin. */
  outside: string[];
  /** Violations of the content security policy, faults of scripts, dialogs. */
  faults: string[];
}

/** Opens the studio and waits for its device. */
export async function openStudio(page: Page): Promise<Watch> {
  const watch: Watch = { outside: [], faults: [] };
  const home = new URL(test.info().project.use.baseURL!).origin;
  page.context().on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== home) watch.outside.push(request.url());
  });
  page.on("pageerror", (error) => watch.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && watch.faults.push(message.text()));
  page.on("dialog", (dialog) => {
    watch.faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto("./");
  await expect(page.getByRole("banner")).not.toContainText("Looking for a GPU");
  return watch;
}

export const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
export const status = (page: Page) => page.getByRole("status");
export const recipe = (page: Page) => page.getByRole("group", { name: "Recipe", exact: true });
export const region = (page: Page) => page.getByRole("region", { name: "Drop a checkpoint" });

/** @param preset Quick, which is done soonest, unless a test is about another one. */
export async function openDemo(page: Page, preset: "Quick" | "Good" | "As in the paper" = "Quick"): Promise<void> {
  await button(page, "Use the demo model").click();
  await expect(region(page)).toContainText("LlamaForCausalLM");
  await recipe(page).getByLabel("Preset").selectOption(preset);
  await expect(button(page, "Run")).toBeEnabled();
}

/** Clicks and waits for what it leads to. */
export async function untilDone(page: Page, name: string, said: RegExp | string): Promise<void> {
  await button(page, name).click();
  await expect(status(page)).toContainText(said);
}

/** The growth chart's table twin: a column of numbers for each run, in chart order. */
export async function curves(page: Page): Promise<number[][]> {
  const rows = await page
    .getByRole("table", { name: "Growth by block" })
    .locator("tbody tr")
    .evaluateAll((trs) => trs.map((tr) => [...tr.querySelectorAll("td")].map((td) => td.textContent ?? "")));
  const runs = rows[0]?.length ?? 0;
  return Array.from({ length: runs }, (_, run) =>
    rows
      .map((row) => row[run])
      .filter((cell) => cell !== "")
      .map((cell) => Number(cell.replaceAll(",", ""))),
  );
}

/** Rows and cells like those before them: axe takes seconds to look at them all. */
const repeatedRows = 'table[aria-label="Layers"] tbody tr:nth-child(n+4)';
const repeatedCells = 'table[aria-label="Error by block and kind"] tbody td:nth-child(n+6)';

/** axe's serious and critical findings in light, and what dark alone can bring: contrast. */
export async function seriousFindings(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const axe = new AxeBuilder({ page }).exclude(repeatedRows).exclude(repeatedCells);
    const { violations } = await (colorScheme === "dark" ? axe.withRules(["color-contrast"]) : axe).analyze();
    for (const v of violations) {
      if (v.impact === "serious" || v.impact === "critical")
        found.push(`${colorScheme}: ${v.id}: ${v.nodes.map((n) => `${n.target.join(" ")} ${n.failureSummary}`).join(" | ")}`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return found;
}
