/** Times of work on a device, as the wall clock shows them. */
import type { Ops } from "../../src/ops/ops";

/** So long that a submit and a wait (some 0.1 ms) do not count. */
const leastSeconds = 0.2;
const batches = 3;
/** At most so many runs are enqueued without a wait. */
const mostTimes = 1000;

const clock = async (ops: Ops, work: () => void | Promise<void>, times: number): Promise<number> => {
  const start = performance.now();
  for (let i = 0; i < times; i++) await work();
  await ops.flush();
  return (performance.now() - start) / 1000;
};

/** Seconds of one run of `work`, which is compiled and warm: the median of three batches, each long enough for the clock. */
export async function secondsOf(ops: Ops, work: () => void | Promise<void>): Promise<number> {
  await clock(ops, work, 1);
  let times = 1;
  let took = await clock(ops, work, times);
  while (took < leastSeconds && times < mostTimes) {
    times = Math.min(mostTimes, Math.ceil(times * Math.min(8, (1.3 * leastSeconds) / Math.max(took, 1e-4))));
    took = await clock(ops, work, times);
  }
  const measured = [took];
  // What takes seconds is measured once: software adapters do, and have no time.
  while (measured.length < batches && took < 10 * leastSeconds) measured.push(await clock(ops, work, times));
  return measured.sort((a, b) => a - b)[measured.length >> 1] / times;
}

/** The slope of a line through (ln x, ln y), by least squares. */
export function logSlope(points: readonly (readonly [x: number, y: number])[]): number {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)]);
  const mean = (i: number) => logs.reduce((sum, p) => sum + p[i], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const product = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return product / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

/** Three digits. */
export const digits = (x: number): string => (x >= 100 ? Math.round(x).toString() : x.toPrecision(3));

/** Operations a second, in the unit that fits. */
export const rate = (perSecond: number): string =>
  perSecond >= 1e12 ? `${digits(perSecond / 1e12)} TF/s` : `${digits(perSecond / 1e9)} GF/s`;

export const percent = (x: number): string => `${digits(100 * x)} %`;

export const duration = (s: number): string => (s < 1 ? `${digits(1000 * s)} ms` : `${digits(s)} s`);
