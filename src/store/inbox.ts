/** Gathers a run's events and applies them a few times a second: redrawing the chart for each of them would hold up the page. */
import type { RunEvent } from "../results/events";
import type { Job, Run } from "./state";

export const updateMs = 200;

export interface Inbox {
  push(event: RunEvent): void;
  /** Applies what is left and stops. */
  close(): void;
}

/** `apply` is called with the events since the last call, at most once every `updateMs`; at least once a second even without events, so that clocks move. */
export function createInbox(apply: (events: RunEvent[]) => void): Inbox {
  let waiting: RunEvent[] = [];
  let idle = 0;
  const flush = () => {
    const events = waiting;
    waiting = [];
    apply(events);
  };
  const timer = setInterval(() => {
    idle = waiting.length ? 0 : idle + updateMs;
    if (waiting.length || idle >= 1000) {
      idle = 0;
      flush();
    }
  }, updateMs);
  return {
    push: (event) => waiting.push(event),
    close() {
      clearInterval(timer);
      if (waiting.length) flush();
    },
  };
}

/** The run with these events in it. */
export function applyToRun(run: Run, events: RunEvent[]): Run {
  const next = { ...run, blocks: [...run.blocks], layers: [...run.layers] };
  for (const event of events) {
    if (event.type === "start") {
      next.totalBlocks = event.blocks;
      next.quantizedBlocks = event.quantizedBlocks;
      // The engine reports what is done already once more.
      next.blocks = [];
      next.layers = [];
    } else if (event.type === "layer") next.layers.push(event.layer);
    else if (event.type === "block") next.blocks.push(event.block);
  }
  return next;
}

/** Progress of one of the job's parts as progress of the whole job; it never falls. */
export function applyToJob(job: Job, events: RunEvent[], now: number): Job {
  const next = { ...job, now };
  for (const event of events) {
    if (event.type !== "progress" || event.total <= 0) continue;
    next.fraction = Math.max(next.fraction, Math.min(1, (job.part - 1 + event.done / event.total) / job.parts));
    next.where = event.where;
  }
  return next;
}

/** With less done, a rate tells nothing. */
const leastFraction = 0.03;
/** From here on only the rate so far counts. Before, the plan weighs in: a job's first steps are unlike the others. */
const settledFraction = 0.2;

/** Seconds left, from the plan at first and from the rate so far the more is done; null where neither tells: no plan, or one that was too short, and too early for a rate. */
export function secondsLeft({ fraction, expectedSeconds, now, startedAt }: Job): number | null {
  const elapsed = (now - startedAt) / 1000;
  const rated = fraction >= leastFraction && elapsed > 0.5 ? (elapsed * (1 - fraction)) / fraction : null;
  const planned = expectedSeconds === null || elapsed >= expectedSeconds ? null : expectedSeconds - elapsed;
  if (rated === null || planned === null) return rated ?? planned;
  const weight = Math.min(1, fraction / settledFraction) ** 2;
  return weight * rated + (1 - weight) * planned;
}
