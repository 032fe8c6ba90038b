/** Ours against the oracle, by the rules of tests/conformance. */
import { label, list, percent, table } from "./text";
import type { Figures, Measurement, Oracle, Results } from "./types";

export interface Agreement {
  /** The largest relative deviation of any Δ_m, on either text, or of any relative Δ_m. */
  delta: number;
  perplexity: number;
  /** The layer that is furthest off. */
  layer: { name: string; off: number };
  layerTolerance: number;
  /** What is outside the recipe's tolerance, as phrases. */
  misses: string[];
}

const deviation = (ours: number, theirs: number) => Math.abs(ours / theirs - 1);

/** A list of another length agrees with nothing. */
function worst(ours: readonly number[], theirs: readonly number[]): number {
  return ours.length === theirs.length ? Math.max(...theirs.map((t, i) => deviation(ours[i], t))) : Number.POSITIVE_INFINITY;
}

export function agreementOf(ours: Measurement, theirs: Figures): Agreement {
  const delta = Math.max(
    worst(ours.calibration.delta, theirs.delta),
    worst(ours.calibration.relativeDelta, theirs.relativeDelta),
    worst(ours.evaluation.delta, theirs.deltaEvaluation),
  );
  const perplexity = deviation(ours.perplexity, theirs.perplexity);
  const layer = worstLayer(ours.layers, theirs.layers);
  const layerTolerance = Math.max(0.05, theirs.delta_rtol);
  const misses = [
    ...miss("Δ", delta, theirs.delta_rtol),
    ...miss("perplexity", perplexity, theirs.perplexity_rtol),
    ...miss(layer.name, layer.off, layerTolerance),
  ];
  return { delta, perplexity, layer, layerTolerance, misses };
}

/** Written so that NaN is a miss. */
const miss = (what: string, off: number, tolerance: number): string[] =>
  off < tolerance ? [] : [`${what} off by ${percent(off)} of ${percent(tolerance)}`];

function worstLayer(ours: Record<string, number>, theirs: Record<string, number>): { name: string; off: number } {
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const all = names.map((name) => {
    const off = deviation(ours[name], theirs[name]);
    return { name, off: Number.isNaN(off) ? Number.POSITIVE_INFINITY : off };
  });
  return all.reduce((a, b) => (b.off > a.off ? b : a));
}

/** Relative, as a percentage with two digits. */
const tiny = (off: number) => `${Number((100 * off).toPrecision(2))} %`;

const short = (layer: string) => layer.replace("model.layers.", "").replace(/(self_attn|mlp)\./, "");

export function agreementSection(results: Results, oracle: Oracle): string {
  const all = results.recipes.map((m) => ({ name: m.name, theirs: oracle[m.name], ours: agreementOf(m, oracle[m.name]) }));
  const rows = all.map(({ name, theirs, ours }) => [
    `${label(name)}`,
    `${tiny(ours.delta)} of ${percent(theirs.delta_rtol)}`,
    `${tiny(ours.perplexity)} of ${percent(theirs.perplexity_rtol, 2)}`,
    `${tiny(ours.layer.off)} of ${percent(ours.layerTolerance)} (${short(ours.layer.name)})`,
    ours.misses.length ? "**missed**" : "ok",
  ]);
  const missed = all.filter(({ ours }) => ours.misses.length);
  const verdict = missed.length
    ? `Outside their tolerances: ${list(missed.map(({ name, ours }) => `${label(name)} (${ours.misses.join("; ")})`))}.`
    : `All ${all.length} of them are within their tolerances.`;
  return `## Against the oracle

The oracle is another author's float64 implementation ([what it is](../tests/fixtures/oracle/README.md)). Each recipe carries its own tolerances. Shown is
the largest relative deviation: of any Δ_m on either text or Δ_m / ‖h_m‖², of the perplexity, and of any layer's error. Its file holds six digits
(four for layers), so that up to 0.0005 % (0.05 %) is rounding. ${verdict}

${table(["recipe", "Δ_m", "perplexity", "worst layer", ""], rows)}`;
}
