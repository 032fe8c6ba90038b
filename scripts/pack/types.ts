/** What the pack is about, as plain data. */

/** One line of the table, in the format of the files in docs/benchmarks/. */
export interface Row {
  what: string;
  measured: string;
  goal: string | null;
  /** Null where there is no goal, or nothing was measured. */
  met: boolean | null;
  why: string | null;
}

/** The file that the pack writes. */
export interface Report {
  title: string;
  order: number;
  command: string;
  date: string;
  commit: string;
  machine: string;
  intro: string;
  rows: Row[];
}

/** The adapter as the first part finds it. */
export interface Card {
  name: string;
  software: boolean;
  /** Name, driver and processor in one line. */
  machine: string;
}

/** What a part tells while it runs, a line of JSON each, so that nothing is lost when it is killed or crashes. */
export type Note = { row: Row } | { doing: string } | { failed: string } | { card: Card } | { finished: true };

/** How a part hands in what it finds. */
export interface Teller {
  /** Beyond this (milliseconds since 1970) the part is killed. */
  until: number;
  row(row: Row): void;
  /** What is worked on now: named if the part is cut or crashes there. */
  doing(what: string): void;
  /** Something is wrong, not only slow: the pack ends with status 1. */
  failed(why: string): void;
}

/** Measured, without a goal. */
export const fact = (what: string, measured: string, why: string | null = null): Row => ({ what, measured, goal: null, met: null, why });

/** What is said of everything that the time did not reach. */
export const noTime = "not run (no time)";
