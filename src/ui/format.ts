/** Numbers, and runs, as people read them. */
import { type Recipe, recipeTitle } from "../recipe/recipe";

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n: number): string => grouped.format(n);

/** 3 significant digits, no exponent below a million: 0.0379, 3.83, 236,501. */
export function figure(x: number): string {
  if (!Number.isFinite(x)) return "—";
  const size = Math.abs(x);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return x.toExponential(2).replace("e+", "e");
  if (size >= 1000) return grouped.format(x);
  return x === 0 ? "0" : Number(x.toPrecision(3)).toString();
}

/** Damping fractions of a layer's solves: "0.01 → 0.1" where more was tried, "0.01 and 0.1" of two solves. */
export const dampingText = (tried: readonly number[], retries: number): string => tried.map(figure).join(retries > 0 ? " → " : " and ");

export function percent(fraction: number, digits = 3): string {
  const value = fraction * 100;
  if (value !== 0 && Math.abs(value) < 0.001) return "<0.001 %";
  return `${Number(value.toPrecision(digits))} %`;
}

/** A share of right answers, to a tenth of a percent: 61.5 %. */
export const share = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** The difference of two shares in percentage points: 1.5. */
export const points = (fraction: number): string => (100 * fraction).toFixed(1);

/** 3.715; from 1000 on without a fraction: 11,827. */
export const perplexityText = (x: number): string => (x < 1000 ? x.toFixed(3) : grouped.format(x));

/** How much larger: +6.0 %. */
export function rise(before: number, after: number): string {
  const change = (after / before - 1) * 100;
  return `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(1)} %`;
}

const units = ["B", "kB", "MB", "GB", "TB"];

export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(2)} ${units[unit]}`;
}

/** Operations a second: 4.7 GF/s, 1.2 TF/s. */
export const operations = (perSecond: number): string =>
  perSecond < 999.5e9
    ? `${figure(Number((perSecond / 1e9).toPrecision(2)))} GF/s`
    : `${figure(Number((perSecond / 1e12).toPrecision(2)))} TF/s`;

/** 8.2 s, 42 s, 3 min 10 s, 1 h 5 min. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An estimate: whole seconds, then coarser. */
export function roughly(seconds: number): string {
  if (seconds < 1.5) return "about 1 s";
  if (seconds < 100) return `about ${Math.round(seconds)} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

export const milliseconds = (ms: number): string => (ms < 10 ? ms.toFixed(1) : count(ms));

/** 1100048384 → 1.1 billion; 738304 → 738 thousand. */
export function parameters(n: number): string {
  if (n >= 999.5e6) return `${Number((n / 1e9).toPrecision(3))} billion`;
  if (n >= 999.5e3) return `${Number((n / 1e6).toPrecision(3))} million`;
  return n >= 1000 ? `${Math.round(n / 1000)} thousand` : `${n}`;
}

/** The person's name for a run, or its recipe's title. */
export const runTitle = (run: { name: string | null; recipe: Recipe }): string => run.name ?? recipeTitle(run.recipe);

/** 14:03:27 */
export const clock = (at: number): string => new Date(at).toTimeString().slice(0, 8);
