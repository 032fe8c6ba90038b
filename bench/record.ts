/** What benches measured, in docs/benchmarks: one file for each command or part of one, which scripts/benchmarks.mjs puts together into docs/benchmarks.md. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { type Report, render } from "../scripts/benchmarks.mjs";
import { root } from "../scripts/proc.mjs";

export type { Row } from "../scripts/benchmarks.mjs";

export type Section = Omit<Report, "date" | "commit">;

const git = (...args: string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";

/** The commit, and whether it is what was measured. */
function commit(): string {
  const changed = git("status", "--porcelain", "--", "src", "shaders", "bench", "scripts") !== "";
  return `${git("rev-parse", "--short", "HEAD") || "unknown"}${changed ? " with changes" : ""}`;
}

/** The machine's load before the command began, by which every time may be too long. Its own parts are a load to each other, and do not count. */
const load = Number(process.env.QEP_BENCH_LOAD ?? loadavg()[0]);

/** "2 cores, SwiftShader driver 5.0.0" */
export function machineOf(adapter: string): string {
  const cores = availableParallelism();
  const busy = load > 0.75 * cores ? `; other work was going on (load ${load.toFixed(1)})` : "";
  return `${cores} cores, ${adapter}${busy}`;
}

/** Writes a section, and the page anew; under another folder than docs/ where QEP_BENCH_DOCS names one. */
export async function record(name: string, section: Section): Promise<void> {
  const docs = process.env.QEP_BENCH_DOCS ?? join(root, "docs");
  mkdirSync(join(docs, "benchmarks"), { recursive: true });
  const report: Report = { ...section, date: new Date().toISOString().slice(0, 10), commit: commit() };
  writeFileSync(join(docs, "benchmarks", `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  render(docs);
}
