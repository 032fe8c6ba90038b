/** The two files that the pack writes: the same rows as JSON for docs/benchmarks/, and as a table to read. */
import type { Card, Report, Row } from "./types";

/** "NVIDIA H200 (PCIe)" → "nvidia-h200-pcie". */
export const slug = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "") || "unknown";

export interface Told {
  card: Card | null;
  seconds: number;
  took: number;
  date: string;
  commit: string;
  failures: readonly string[];
  rows: readonly Row[];
}

export function reportOf({ card, seconds, took, date, commit, failures, rows }: Told): Report {
  const name = card?.name ?? "no adapter";
  const failed = failures.length ? ` ${failures.length} failed: see the rows that say so.` : "";
  return {
    title: `On ${name}`,
    order: 90,
    command: `sh run.sh ${seconds}`,
    date,
    commit,
    machine: card?.machine ?? "unknown",
    intro: `What \`npm run bench:pack\` packs, run within ${seconds} s; it took ${Math.round(took)} s.${failed}`,
    rows: [...rows],
  };
}

const cell = (text: string | null) => (text ?? "").replaceAll("|", "\\|").replace(/\s*\n\s*/g, " ");
const met = (value: boolean | null) => (value === null ? "" : value ? "yes" : "**no**");

export function table({ title, command, date, commit, machine, intro, rows }: Report): string {
  const lines = rows.map(
    (r) => `| ${[r.what, r.measured, r.goal, met(r.met), r.why].map((x) => (x === null ? "" : cell(x))).join(" | ")} |`,
  );
  return [
    `# ${title}`,
    "",
    intro,
    "",
    `\`${command}\`, ${date}, commit ${commit}. ${machine}.`,
    "",
    "| what | measured | goal | met | why |",
    "|---|---|---|---|---|",
    ...lines,
    "",
  ].join("\n");
}
