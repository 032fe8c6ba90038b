/** What was measured of a model beside its original, as people read it. */
import type { Comparison, Divergence, Mean } from "./measures";

/** A mean with its standard error: to the error's second digit, which is as far as it means anything. Where there is no error, to three digits. */
export function withError({ mean, error }: Mean): string {
  if (!(error > 0)) return String(Number(mean.toPrecision(3)));
  if (Math.abs(mean) < 1e-4 && error < 1e-4) return `${mean.toExponential(2)} ± ${error.toExponential(1)}`;
  const decimals = Math.min(9, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${mean.toFixed(decimals)} ± ${error.toFixed(decimals)}`;
}

const percent = (fraction: number): string => (100 * fraction).toFixed(1);
const errorText = (error: number): string => (Number.isFinite(error) ? ` ± ${percent(error)}` : "");

/** 93.1 ± 0.3 % */
export const sameTopText = ({ sameTop: { mean, error } }: Divergence): string => `${percent(mean)}${errorText(error)} %`;

/** How perplexity changed: +6.0 ± 0.2 %. */
export function riseText({ lossRise: { mean, error } }: Divergence): string {
  const change = Math.expm1(mean);
  return `${change < 0 ? "−" : "+"}${percent(Math.abs(change))}${errorText((1 + change) * error)} %`;
}

const short = (x: number): string => String(Number(x.toPrecision(3)));

/** 0.0421 ± 0.0012 nats per token (median 0.0203, 99 % of tokens below 0.411, at most 1.92) */
export const klText = ({ kl }: Divergence): string =>
  `${withError(kl)} nats per token (median ${short(kl.median)}, 99 % of tokens below ${short(kl.p99)}, at most ${short(kl.max)})`;

/** Why two models have no Δ_m, as the end of a sentence. */
export const noDeltaTexts: Readonly<Record<NonNullable<Comparison["noDelta"]>, string>> = {
  sizes: "the two differ in blocks or width",
  coordinates: "their embeddings have nothing in common, as where one of the two is rotated",
};
