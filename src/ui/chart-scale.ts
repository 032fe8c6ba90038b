/** A log axis with readable ends: 1, 2, 5 times a power of ten. */

const steps = [1, 2, 5];

/** The positive values of a log axis; anything else has no place on it. */
export const isPlottable = (x: number | undefined): x is number => x !== undefined && Number.isFinite(x) && x > 0;

export function logDomain(values: number[]): { domain: [number, number]; ticks: number[] } {
  const positive = values.filter(isPlottable);
  if (!positive.length) return { domain: [1, 10], ticks: [1, 10] };
  const low = stepAtMost(Math.min(...positive));
  let high = stepAtLeast(Math.max(...positive));
  if (high <= low) high = stepAtLeast(low * 1.5);
  const all = stepsBetween(low, high);
  const ticks = all.length <= 8 ? all : all.filter((t) => isPowerOfTen(t));
  return { domain: [low, high], ticks };
}

function stepsBetween(low: number, high: number): number[] {
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const tick = scaled(step, power);
      if (tick >= low * 0.999 && tick <= high * 1.001) found.push(tick);
    }
  }
  return found;
}

function stepAtMost(x: number): number {
  const power = Math.floor(Math.log10(x));
  return scaled(steps.findLast((s) => scaled(s, power) <= x * 1.0001) ?? 1, power);
}

function stepAtLeast(x: number): number {
  const power = Math.floor(Math.log10(x));
  const step = steps.find((s) => scaled(s, power) >= x * 0.9999);
  return step ? scaled(step, power) : scaled(1, power + 1);
}

const isPowerOfTen = (x: number) => Math.abs(Math.log10(x) - Math.round(Math.log10(x))) < 1e-9;

/** Computed by parsing text, so that 2 · 10⁻² is 0.02 and not 0.020000000000000004. */
const scaled = (step: number, power: number) => Number(`${step}e${power}`);

/** Block numbers to write under the axis: about eight of them, the first and the last among them. */
export function blockTicks(blocks: number): number[] {
  if (blocks <= 16) return Array.from({ length: blocks }, (_, i) => i + 1);
  const every = [5, 10, 20, 25, 50].find((n) => blocks / n <= 9) ?? 100;
  const ticks = [1];
  for (let m = every; m < blocks; m += every) if (blocks - m >= every / 2) ticks.push(m);
  return [...ticks, blocks];
}
