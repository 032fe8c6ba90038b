import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import type { TaskScore } from "../../src/results/measures";
import { arc } from "../support/parquet";
import { root } from "../support/tree";
import { gateEngine } from "./gate";
import { button, openDemo, openStudio, recipe, seriousFindings, status, untilDone } from "./studio";

const limit = 12;

/** The same engine on Node. */
function cli(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}bin/qep-studio.mjs`, ...args], { encoding: "utf8", cwd: root });
  expect(status, stderr).toBe(0);
  return stdout;
}
const scoresOf = (model: string): TaskScore[] =>
  JSON.parse(cli("tasks", model, "--tasks", "public/demo/tasks.jsonl", "--limit", String(limit), "--json")).scores;

const panel = (page: Page) => page.getByRole("region", { name: "Zero-shot tasks", exact: true });

/** Kind, questions, then before and after of both ways. */
const rows = (page: Page) =>
  panel(page)
    .locator("tbody tr:has(td)")
    .evaluateAll((trs) =>
      trs.map((tr) => {
        const cells = [...tr.children].map((cell) => cell.textContent ?? "");
        return [cells[0], Number(cells[1]), ...[2, 3, 6, 7].map((c) => Number.parseFloat(cells[c]))];
      }),
    );

test("a run is scored on the demo's tasks, before and after", async ({ page }) => {
  const watch = await openStudio(page);
  const gate = await gateEngine(page);
  await openDemo(page);
  await recipe(page).getByLabel("Bits").selectOption("2");
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 2" });
  await recipe(page).getByRole("slider").fill("0");
  await expect(button(page, "Score tasks")).toBeDisabled();
  await untilDone(page, "Run", "Done: RTN 2-bit");
  await panel(page).getByText("Which questions").click();
  await panel(page).getByLabel("At most this many questions").fill(String(limit));

  await test.step("cancel stops it, and leaves nothing", async () => {
    await gate.holdAfter(12);
    await button(page, "Score tasks").click();
    await gate.held();
    await expect(status(page)).toContainText("Asking run 1 the questions");
    await button(page, "Cancel").click();
    await gate.release();
    await expect(status(page)).toContainText("Cancelled");
    await expect(panel(page).getByRole("table")).toHaveCount(0);
  });

  await untilDone(page, "Score tasks", "Done: tasks scored for 1 run");
  await expect(panel(page)).toContainText(`${limit} questions of the demo’s tasks`);
  await expect(button(page, "Score tasks")).toBeDisabled();
  const answers = await rows(page);
  const all = answers.at(-1)!;
  expect(answers.slice(0, -1).reduce((sum, [, questions]) => sum + Number(questions), 0)).toBe(limit);
  expect(all.slice(0, 2)).toEqual(["all", limit]);
  // The two models were asked each for itself.
  expect(answers.some(([, , before, after]) => before !== after)).toBe(true);
  expect(await seriousFindings(page)).toEqual([]);
  expect(watch).toEqual({ outside: [], faults: [] });
});

test("the scores are what the engine finds on Node", { tag: "@whole" }, async ({ page }) => {
  await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Bits").selectOption("2");
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 2" });
  await recipe(page).getByRole("slider").fill("0");
  await untilDone(page, "Run", "Done: RTN 2-bit");
  await panel(page).getByText("Which questions").click();
  await panel(page).getByLabel("At most this many questions").fill(String(limit));
  await untilDone(page, "Score tasks", "Done: tasks scored for 1 run");
  const folder = mkdtempSync(join(tmpdir(), "qep-tasks-"));
  try {
    const flags = ["--method", "rtn", "--bits", "2", "--alpha", "0", "--blocks", "2", "--windows", "1", "--window-length", "128"];
    cli("quantize", "public/demo/model", "--out", join(folder, "out"), "--calibration", "public/demo/calibration.jsonl", ...flags);
    const after = scoresOf(join(folder, "out"));
    const tenth = (share: number) => Number((100 * share).toFixed(1));
    const expected = scoresOf("public/demo/model").map((b, i) => [
      ...[b.kind, b.questions, tenth(b.accuracy), tenth(after[i].accuracy)],
      ...[tenth(b.normalizedAccuracy), tenth(after[i].normalizedAccuracy)],
    ]);
    expect(await rows(page)).toEqual(expected);
    // The comparison sees a change at all.
    expect(expected.some(([, , b, a]) => b !== a)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("questions of a person's own, as parquet; a damaged one is given up, and nothing hangs", { tag: "@whole" }, async ({ page }) => {
  const watch = await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Blocks to quantize").selectOption({ label: "first 1" });
  await untilDone(page, "Run", "Done: RTN 3-bit");
  await panel(page).getByText("Which questions").click();
  await panel(page).getByRole("radio", { name: "Own file" }).check();
  await expect(panel(page)).toContainText("Choose a question file first.");
  await expect(button(page, "Score tasks")).toBeDisabled();
  const choose = (name: string, buffer: Buffer) =>
    panel(page).getByLabel("Question file").setInputFiles({ name, mimeType: "application/octet-stream", buffer });

  const endless = readFileSync(`${root}tests/fixtures/arc.parquet`);
  endless[518] = 1; // a list of −1 children
  await choose("endless.parquet", endless);
  await untilDone(page, "Score tasks", "endless.parquet took longer than 10 s to read");
  await button(page, "Score tasks").click();
  await expect(status(page)).toContainText("Asking run 1");
  await button(page, "Cancel").click();
  await expect(status(page)).toContainText("Cancelled");

  await choose("piqa.jsonl", Buffer.from('{"goal":"Cool soup","sol1":"Blow.","sol2":"Heat."}'));
  await untilDone(page, "Score tasks", "piqa.jsonl, line 1 is a PIQA question without its answer");

  const why = { question: "Who has the doll?", choices: { text: ["Eli.", "June."], label: ["A", "B"] }, answerKey: "B" };
  await choose("<img src=x onerror=alert(1)>.parquet", Buffer.from(arc([why, { ...why, answerKey: "A" }])));
  await untilDone(page, "Score tasks", "Done: tasks scored for 1 run");
  // One question asked with either answer as the right one: half is right, whatever the model thinks.
  expect((await rows(page)).map((row) => row.slice(0, 4))).toEqual([
    ["<img src=x onerror=alert(1)>", 2, 50, 50],
    ["all", 2, 50, 50],
  ]);
  expect(await page.locator("img").count()).toBe(0);
  expect(watch).toEqual({ outside: [], faults: [] });
});
