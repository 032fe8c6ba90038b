/**
 * docs/benchmarks.md out of docs/benchmarks/*.json: `node scripts/benchmarks.mjs`. Every command that measures writes files of this format and calls `render`;
 * nothing on the page is typed in by hand but its first paragraph.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { isMain, root, Stop, script } from "./proc.mjs";

const words = v.pipe(v.string(), v.nonEmpty());

const rowSchema = v.strictObject({
  what: words,
  measured: words,
  goal: v.nullable(words),
  met: v.nullable(v.boolean()),
  /** Why a goal is missed; of other rows, what there is to know. */
  why: v.nullable(words),
});

export const reportSchema = v.strictObject({
  title: words,
  /** Place on the page. */
  order: v.number(),
  command: words,
  date: v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d$/)),
  commit: words,
  machine: words,
  intro: v.string(),
  rows: v.array(rowSchema),
});

/** @typedef {v.InferOutput<typeof rowSchema>} Row */
/** @typedef {v.InferOutput<typeof reportSchema>} Report */

const head = `# Benchmarks

Written by the commands that are named below, which measure and then make this page of [benchmarks/](benchmarks); do not edit. Unless a section names a GPU,
its numbers come from a software adapter on a few shared cores: times and rates say nothing about a real GPU, and move between runs; ratios of what was
measured in turn in one run say how the engine spends its time. Every computed output is checked after it was timed. A missed goal stands here as missed.`;

/** One line of a table or list: nothing in it may end the cell, open a tag or start markup. @param {string} text */
const inline = (text) =>
  text
    .replace(/\s+/g, " ")
    .trim()
    .replace(/[\\|`*_<>[\]]/g, (mark) => `\\${mark}`);

/** @param {boolean | null} met */
const verdict = (met) => (met === null ? "" : met ? "met" : "**missed**");

/** @param {Report} report */
function section({ title, command, date, commit, machine, intro, rows }) {
  const lines = rows.map(
    (r) => `| ${inline(r.what)} | ${inline(r.measured)} | ${r.goal === null ? "" : inline(r.goal)} | ${verdict(r.met)} |`,
  );
  const notes = rows.flatMap((r) =>
    r.why === null ? [] : [`- ${inline(r.what)}${r.met === false ? ", **missed**" : ""}: ${inline(r.why)}`],
  );
  const parts = [
    `## ${inline(title)}`,
    `\`${command.replaceAll("`", "'")}\`, ${date}, commit ${inline(commit)}. ${inline(machine)}.`,
    ...(intro.trim() ? [inline(intro)] : []),
    ["| what | measured | goal | met |", "| --- | --- | --- | --- |", ...lines].join("\n"),
    ...(notes.length ? [notes.join("\n")] : []),
  ];
  return parts.join("\n\n");
}

/**
 * The page. Reports stand by their order, those of one order by title.
 * @param {readonly Report[]} reports
 */
export function pageOf(reports) {
  const sorted = reports.toSorted((a, b) => a.order - b.order || (a.title < b.title ? -1 : 1));
  return `${[head, ...sorted.map(section)].join("\n\n")}\n`;
}

/**
 * @param {string} text
 * @param {string} name the file's, for the message
 * @returns {Report}
 */
export function parseReport(text, name) {
  let json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Stop(`${name} is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  const result = v.safeParse(reportSchema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Stop(`${name}: ${v.getDotPath(issue) ?? "the whole"}: ${issue.message}`);
}

/** @param {string} docs @returns {Report[]} */
export function readReports(docs = join(root, "docs")) {
  const folder = join(docs, "benchmarks");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  return names.sort().map((name) => parseReport(readFileSync(join(folder, name), "utf8"), `benchmarks/${name}`));
}

/**
 * Writes the page again.
 * @param {string} [docs] the folder of benchmarks/ and benchmarks.md
 */
export function render(docs = join(root, "docs")) {
  const reports = readReports(docs);
  writeFileSync(join(docs, "benchmarks.md"), pageOf(reports));
  const rows = reports.flatMap((report) => report.rows);
  const missed = rows.filter((row) => row.met === false).length;
  console.log(`benchmarks.md has ${rows.length} rows of ${reports.length} files; ${missed} goals are missed.`);
}

if (isMain(import.meta)) await script(() => render());
