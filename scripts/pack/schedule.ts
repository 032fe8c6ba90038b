/** Which part runs how long: all of them together end within the time limit, and what the limit cuts is said. */
import { fact, type Note, noTime, type Row } from "./types";

export interface Part {
  name: string;
  title: string;
  /** Of the time that is left, the most it may take, or `enoughSeconds` if that is more: so a part that hangs leaves the later ones some. */
  share: number;
}

/** How a part's process ended. */
export type Ending = { kind: "ended"; code: number | null; signal: string | null } | { kind: "cut" };

export interface PartRun {
  notes: readonly Note[];
  ending: Ending;
}

export interface Clock {
  now(): number;
}

const enoughSeconds = 10;
/** Less than this, in seconds, is too little to start a part: the process and its device alone take about as long. */
const leastSeconds = 2;
/** Kept at the end, in seconds, to kill what overruns and write the files. */
const reserveSeconds = 1.5;

export interface Outcome {
  rows: Row[];
  failures: string[];
}

/** What became of one part: its rows, and one more if it did not get to its end. */
export function outcomeOf({ title }: Part, { notes, ending }: PartRun, seconds: number): Outcome {
  const rows = notes.flatMap((note) => ("row" in note ? [note.row] : []));
  const failures = notes.flatMap((note) => ("failed" in note ? [`${title}: ${note.failed}`] : []));
  const doing = notes.findLast((note) => "doing" in note)?.doing;
  const at = doing ? `, in “${doing}”` : "";
  if (ending.kind === "cut") {
    rows.push(fact(`${title}: the rest`, noTime, `cut after ${Math.round(seconds)} s${at}`));
  } else if (!notes.some((note) => "finished" in note)) {
    failures.push(`${title}: its process ${ending.signal ? `was ended by ${ending.signal}` : `ended with status ${ending.code}`}${at}`);
  }
  for (const failure of failures)
    rows.push({ what: title, measured: "failed", goal: null, met: false, why: failure.slice(title.length + 2) });
  return { rows, failures };
}

/**
 * Runs parts one after another.
 * @param until when the whole must be over, in milliseconds of the clock.
 * @param run ends within the limit that it is given, whatever the part does.
 */
export async function runParts(
  parts: readonly Part[],
  until: number,
  clock: Clock,
  run: (part: Part, until: number) => Promise<PartRun>,
  told: (part: Part, outcome: Outcome) => void = () => {},
): Promise<Outcome> {
  const all: Outcome = { rows: [], failures: [] };
  for (const part of parts) {
    const started = clock.now();
    const left = until - started - 1000 * reserveSeconds;
    const most = Math.min(left, Math.max(left * part.share, 1000 * enoughSeconds));
    const outcome =
      most < 1000 * leastSeconds
        ? { rows: [fact(part.title, noTime)], failures: [] }
        : outcomeOf(part, await run(part, started + most), (clock.now() - started) / 1000);
    all.rows.push(...outcome.rows);
    all.failures.push(...outcome.failures);
    told(part, outcome);
  }
  return all;
}
