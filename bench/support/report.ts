/** How a part of `npm run bench` hands in what it measured: rows with their goals, as a file of docs/benchmarks/. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import type { Report, Row } from "../../scripts/benchmarks.mjs";
import { root } from "../../scripts/proc.mjs";

export type { Row } from "../../scripts/benchmarks.mjs";

/** Sizes that say nothing, to try the parts out. */
export const small = process.env.QEP_BENCH_SMALL === "1";

/** Measured, without a goal. */
export const fact = (what: string, measured: string, why: string | null = null): Row => ({ what, measured, goal: null, met: null, why });

export interface Judged {
  what: string;
  measured: string;
  /** The number that the goal is about. */
  value: number;
  /** What it may be at most or must be at least, and how that is said. */
  goal: { most: number; text: string } | { least: number; text: string };
  /** The reason found, told where the goal is missed. */
  why?: string;
}

/** Measured, with a goal. What is not a number misses it. */
export function judged({ what, measured, value, goal, why = undefined }: Judged): Row {
  const met = "most" in goal ? value <= goal.most : value >= goal.least;
  return { what, measured, goal: goal.text, met, why: met ? null : (why ?? null) };
}

const git = (...args: string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";

/** The commit that was measured, and whether it is what was measured. */
function commit(): string {
  const changed = git("status", "--porcelain", "--", "src", "shaders", "bench", "scripts") !== "";
  return `${git("rev-parse", "--short", "HEAD") || "unknown"}${changed ? " with changes" : ""}`;
}

/** Other work on the machine when the part began, by which every time may be too long. */
const load = loadavg()[0];

function machine(adapter: string): string {
  const { length } = cpus();
  const busy = load > length / 4 ? `; other work was going on (load ${load.toFixed(1)})` : "";
  return `${length} cores (${cpus()[0].model.trim()}), ${adapter}${busy}`;
}

/** What a part says of itself. */
export interface Part {
  name: string;
  title: string;
  order: number;
  intro: string;
  /** What computed, or null where no adapter took part. */
  adapter: string | null;
}

export function write({ name, title, order, intro, adapter }: Part, rows: Row[]): void {
  const docs = process.env.QEP_BENCH_DOCS ?? join(root, ".cache/bench-small");
  const report: Report = {
    title,
    order,
    command: small ? "npm run bench -- --small" : "npm run bench",
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: machine(adapter ?? "no adapter"),
    intro,
    rows,
  };
  mkdirSync(join(docs, "benchmarks"), { recursive: true });
  writeFileSync(join(docs, "benchmarks", `${name}.json`), `${JSON.stringify(report, null, 1)}\n`);
  for (const { what, measured, goal, met } of rows)
    console.log(`${what}: ${measured}${goal === null ? "" : ` (goal ${goal}: ${met ? "met" : "MISSED"})`}`);
}
