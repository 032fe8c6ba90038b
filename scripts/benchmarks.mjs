/** Puts docs/benchmarks.md together from docs/benchmarks/*.json: `node scripts/benchmarks.mjs`. Every bench calls it when it has written its figures. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { isMain, root, script } from "./proc.mjs";

const text = v.pipe(v.string(), v.minLength(1));
const row = v.strictObject({
  what: text,
  measured: text,
  goal: v.nullable(text),
  met: v.nullable(v.boolean()),
  why: v.nullable(text),
});
const section = v.strictObject({
  title: text,
  order: v.number(),
  command: text,
  date: v.pipe(v.string(), v.isoDate()),
  commit: text,
  machine: text,
  intro: v.string(),
  rows: v.array(row),
});

const intro = `# Benchmarks

Written by the commands named below, never by hand. Figures are measured in one run each, side by side, and what was timed was checked afterwards. Sections on a
software adapter say how kernels compare with each other and how time and memory grow; they say nothing about how fast a GPU is. "Missed" is what it says: the
reason found stands below the table.
`;

/** @param {string} cell */
const escaped = (cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ");

/** @param {boolean | null} met */
const verdict = (met) => (met === null ? "" : met ? "met" : "**missed**");

/** @param {v.InferOutput<typeof section>} s */
function rendered({ title, command, date, commit, machine, intro: about, rows }) {
  const table = rows.map(({ what, measured, goal, met }) => `| ${[what, measured, goal ?? "", verdict(met)].map(escaped).join(" | ")} |`);
  const reasons = rows.filter(({ met, why }) => met === false && why).map(({ what, why }) => `- *${escaped(what)}*: ${why}`);
  return [
    `## ${title}`,
    `\`${command}\`, ${date}, ${commit}, on ${machine}. ${about}`.trim(),
    ["| | measured | goal | |", "|---|---|---|---|", ...table].join("\n"),
    ...(reasons.length ? [reasons.join("\n")] : []),
  ].join("\n\n");
}

/** The page of these sections' JSON texts, by file name. @param {ReadonlyMap<string, string>} files */
export function pageOf(files) {
  const sections = [...files].map(([name, json]) => {
    const parsed = v.safeParse(section, JSON.parse(json));
    if (!parsed.success) throw new Error(`${name}: ${v.getDotPath(parsed.issues[0])}: ${parsed.issues[0].message}`);
    return parsed.output;
  });
  sections.sort((a, b) => a.order - b.order || a.title.localeCompare(b.title));
  return `${[intro.trimEnd(), ...sections.map(rendered)].join("\n\n")}\n`;
}

export function writePage() {
  const folder = join(root, "docs", "benchmarks");
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  writeFileSync(
    join(root, "docs", "benchmarks.md"),
    pageOf(new Map(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]))),
  );
}

if (isMain(import.meta)) await script(async () => writePage());
