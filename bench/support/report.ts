/** How a part of `npm run bench` hands in what it measured: rows with their goals, as a file of docs/benchmarks/. */
import { machineOf, type Row, record } from "../record";

export type { Row } from "../record";

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
export function judged({ what, measured, value, goal, why }: Judged): Row {
  const met = "most" in goal ? value <= goal.most : value >= goal.least;
  return { what, measured, goal: goal.text, met, why: met ? null : (why ?? null) };
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

export async function write({ name, title, order, intro, adapter }: Part, rows: Row[]): Promise<void> {
  for (const { what, measured, goal, met } of rows)
    console.log(`${what}: ${measured}${goal === null ? "" : ` (goal ${goal}: ${met ? "met" : "MISSED"})`}`);
  const command = small ? "npm run bench -- --small" : "npm run bench";
  await record(name, { title, order, command, machine: machineOf(adapter ?? "no adapter"), intro, rows });
}
