/** Times that are measured in turn, so that what slows the machine down for a while slows all of them. */
import type { Ops } from "../../src/ops/ops";

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of what one was to the other in each round. */
export const medianRatio = (a: readonly number[], b: readonly number[]): number => median(a.map((x, i) => x / b[i]));

/** Work on a device, and a look at what came of it. */
export interface Work<T> {
  run(): T | Promise<T>;
  /** @throws if it is wrong. */
  check(outcome: T): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: each work checks what itself returned.
type Works<K extends string> = Record<K, Work<any>>;

/**
 * Seconds by name, one number for each round. The outcomes of all timed runs are looked at when everything is timed; the caller's scope frees them.
 * @param warm run each once before, so that kernels are compiled.
 */
export async function inTurn<K extends string>(ops: Ops, works: Works<K>, rounds: number, warm: boolean): Promise<Record<K, number[]>> {
  const names = Object.keys(works) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  const outcomes: [K, unknown][] = [];
  for (let round = warm ? -1 : 0; round < rounds; round++) {
    for (const name of names) {
      await ops.flush();
      const started = performance.now();
      const outcome = await works[name].run();
      await ops.flush();
      if (round >= 0) times[name].push((performance.now() - started) / 1000);
      outcomes.push([name, outcome]);
    }
  }
  for (const [name, outcome] of outcomes) await works[name].check(outcome);
  return times;
}

/** Runs and leaves nothing behind on the device. */
export async function inScope<T>(ops: Ops, work: () => Promise<T>): Promise<T> {
  const scope = ops.scope();
  try {
    return await work();
  } finally {
    scope.end();
  }
}
