/** What benches measured, in docs/benchmarks: one file for each command, which scripts/benchmarks.mjs puts together into docs/benchmarks.md. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** One measured figure, with the goal that it was measured for. */
export interface Row {
  what: string;
  measured: string;
  /** null: none was set. */
  goal: string | null;
  met: boolean | null;
  /** Why a goal is missed. */
  why: string | null;
}

export interface Section {
  title: string;
  /** Sections stand in this order. */
  order: number;
  command: string;
  /** What it was measured on. */
  machine: string;
  intro: string;
  rows: Row[];
}

const commit = (): string => execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

/** "2 cores, SwiftShader driver 5.0.0" */
export const machineOf = (adapter: string): string => `${availableParallelism()} cores, ${adapter}`;

/** Writes a section, and the page anew. */
export async function record(name: string, section: Section): Promise<void> {
  const folder = join("docs", "benchmarks");
  mkdirSync(folder, { recursive: true });
  const dated = { ...section, date: new Date().toISOString().slice(0, 10), commit: commit() };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(dated, null, 2)}\n`);
  execFileSync(process.execPath, [join("scripts", "benchmarks.mjs")], { stdio: "inherit" });
}
