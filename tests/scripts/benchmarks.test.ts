import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { judged } from "../../bench/support/report";
import { inTurn, median, medianRatio } from "../../bench/support/times";
import { pageOf, parseReport, type Report, type Row, readReports, render } from "../../scripts/benchmarks.mjs";
import { cpu } from "../ops/helpers";
import { root } from "../support/tree";

const row = (change: Partial<Row> = {}): Row => ({ what: "matmul", measured: "4×", goal: "≥ 3.5×", met: true, why: null, ...change });
const report = (change: Partial<Report> = {}): Report => ({
  title: "Products",
  order: 1,
  command: "npm run bench",
  date: "2026-11-28",
  commit: "abc1234",
  machine: "2 cores",
  intro: "In turn.",
  rows: [row()],
  ...change,
});

describe("docs/benchmarks.md", () => {
  it("is what the script makes of docs/benchmarks/", () => {
    const page = join(root, "docs/benchmarks.md");
    const reports = readReports();
    expect(existsSync(page)).toBe(reports.length > 0);
    if (reports.length) expect(readFileSync(page, "utf8"), "node scripts/benchmarks.mjs").toBe(pageOf(reports));
  });

  it("has the sections by their order, then by title", () => {
    const page = pageOf([
      report({ title: "Late", order: 90 }),
      report({ title: "B", order: 2 }),
      report({ title: "A", order: 2 }),
      report({ order: 1 }),
    ]);
    expect(page.match(/^## .*$/gm)).toEqual(["## Products", "## A", "## B", "## Late"]);
  });

  it("says of each goal whether it is met, and below the table why not", () => {
    const rows = [row(), row({ what: "solve", met: false, why: "narrow products" }), row({ what: "size", goal: null, met: null })];
    const page = pageOf([report({ rows })]);
    expect(page).toContain("| matmul | 4× | ≥ 3.5× | met |");
    expect(page).toContain("| solve | 4× | ≥ 3.5× | **missed** |");
    expect(page).toContain("| size | 4× |  |  |");
    expect(page).toContain("\n- solve, **missed**: narrow products\n");
  });

  it("lets no text break a cell or become markup", () => {
    const page = pageOf([report({ title: "A\nB", rows: [row({ what: "a|b\nc <i>", measured: "x_y*z `q` [l](m) \\" })] })]);
    expect(page).toContain("## A B\n");
    expect(page).toContain("| a\\|b c \\<i\\> | x\\_y\\*z \\`q\\` \\[l\\](m) \\\\ | ≥ 3.5× | met |");
  });

  it("refuses what is no report, naming file and field", () => {
    const refused = (text: string) => () => parseReport(text, "benchmarks/x.json");
    expect(refused("{")).toThrow("benchmarks/x.json is not JSON");
    expect(refused(JSON.stringify({ ...report(), date: "today" }))).toThrow("benchmarks/x.json: date: ");
    expect(refused(JSON.stringify(report({ rows: [row({ met: "yes" as never })] })))).toThrow("benchmarks/x.json: rows.0.met: ");
    expect(refused(JSON.stringify({ ...report(), more: 1 }))).toThrow("benchmarks/x.json: more: ");
    expect(parseReport(JSON.stringify(report()), "x")).toEqual(report());
  });

  it("is written into the folder that is named", () => {
    const docs = mkdtempSync(join(tmpdir(), "qep-benchmarks-"));
    try {
      mkdirSync(join(docs, "benchmarks"));
      writeFileSync(join(docs, "benchmarks", "one.json"), JSON.stringify(report()));
      render(docs);
      expect(readFileSync(join(docs, "benchmarks.md"), "utf8")).toBe(pageOf([report()]));
    } finally {
      rmSync(docs, { recursive: true, force: true });
    }
  });
});

describe("a goal", () => {
  const most = { most: 2, text: "≤ 2×" };
  it.each([
    ["is met at its bound", 2, most, true],
    ["is missed above it", 2.01, most, false],
    ["is met from its least on", 0.6, { least: 0.6, text: "≥ 60 %" }, true],
    ["is missed by what is not a number", Number.NaN, most, false],
  ])("%s", (_, value, goal, met) => {
    expect(judged({ what: "x", measured: "y", value, goal, why: "because" })).toEqual({
      what: "x",
      measured: "y",
      goal: goal.text,
      met,
      why: met ? null : "because",
    });
  });
});

test("medians, and ratios of one round", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(medianRatio([10, 40, 6], [5, 10, 3])).toBe(2);
});

describe("works in turn", () => {
  const names: string[] = [];
  const work = (name: string, wrong = false) => ({
    run: () => void names.push(name),
    check: async () => {
      names.push(`look at ${name}`);
      if (wrong) throw new Error(`${name} is wrong`);
    },
  });

  it("come round by round, and are all looked at when everything is timed, the warm-up too", async () => {
    names.length = 0;
    const times = await inTurn(cpu, { a: work("a"), b: work("b") }, 1, true);
    expect(names).toEqual(["a", "b", "a", "b", "look at a", "look at b", "look at a", "look at b"]);
    expect([times.a.length, times.b.length]).toEqual([1, 1]);
  });

  it("give no times if one is wrong", async () => {
    await expect(inTurn(cpu, { a: work("a", true) }, 1, false)).rejects.toThrow("a is wrong");
  });
});
