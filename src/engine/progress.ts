import type { RunEvent } from "../results/events";

/** Where a job sends its events. */
export type Emit = (event: RunEvent) => void;

/** Counts work done towards a constant total; never falls, never passes the total. */
export class Progress {
  private done = 0;

  constructor(
    private readonly total: number,
    private readonly emit: Emit,
  ) {}

  add(work: number, where: string): void {
    this.done = Math.min(this.total, this.done + work);
    this.emit({ type: "progress", done: this.done, total: this.total, where });
  }

  finish(where: string): void {
    this.add(this.total, where);
  }
}

/** Turns progress of part `index` of `parts` equal parts into progress of the whole. */
export function partOf(emit: Emit, index: number, parts: number): Emit {
  return (event) =>
    emit(event.type === "progress" ? { ...event, done: event.done + index * event.total, total: parts * event.total } : event);
}

/** Progress over several attempts at the same work: the total is that of the first attempt, and it does not fall when a later attempt starts further back. */
export function neverFalling(emit: Emit): Emit {
  let total: number | null = null;
  let done = 0;
  return (event) => {
    if (event.type !== "progress") return emit(event);
    total ??= event.total;
    done = Math.max(done, (event.done / event.total) * total);
    emit({ ...event, done, total });
  };
}
