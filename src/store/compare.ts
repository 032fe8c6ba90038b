/** A QEP run beside the run of its base method: what it cost, and whether its error ends lower (the paper's Eq. 5). */
import { baseOf, isBase, needsHeldOut, type Recipe } from "../recipe/recipe";
import type { BlockReport } from "../results/report";
import { type EvaluatedText, evaluatedTexts, measuredOn } from "./measuring";
import type { Run } from "./state";
import { textKey } from "./texts";

/** The final values of a pair's runs: a Δ, or a perplexity. */
export interface Ends {
  base: number;
  qep: number;
  /** qep / base − 1: −0.35 is 35 % below. */
  change: number;
  below: boolean;
}

/** A QEP run and its base. */
export interface Comparison {
  base: Run;
  qep: Run;
  /** The QEP run's time divided by the base's, both without the full-precision stream, which only the first run on a text computes. null: not known. */
  timeRatio: number | null;
  calibration: Ends;
  /** On every text that both runs were measured on. */
  evaluations: { text: EvaluatedText; delta: Ends; perplexity: Ends }[];
}

/** True when the two runs differ in QEP alone. */
export function isPair(a: Run, b: Run): boolean {
  return isBase(a.recipe) !== isBase(b.recipe) && settings(a) === settings(b);
}

function settings(run: Run): string {
  const { calibration, qep } = run.recipe;
  // Where all windows are asked for, the held-out ones are missing from the calibration; where a number is, they come on top.
  const missing = calibration.windows === null && needsHeldOut(run.recipe) ? qep.heldOut : 0;
  return JSON.stringify([{ ...baseOf(run.recipe), qep: null }, missing]) + textKey(run.text);
}

/** The finished run to compare with: for a QEP run its base, for a base the latest QEP run. */
export function partnerOf(runs: Run[], run: Run): Run | null {
  return runs.findLast((r) => r.status === "done" && isPair(r, run)) ?? null;
}

/** The recipe of the run that is missing from the pair: for a QEP run its base; for a base the panel's QEP settings, or α ½ where those would correct nothing. */
export function partnerRecipe(recipe: Recipe, panel: Recipe): Recipe {
  if (!isBase(recipe)) return baseOf(recipe);
  const partner = { ...recipe, qep: panel.qep };
  return isBase(partner) ? { ...partner, qep: { ...panel.qep, alpha: 0.5 } } : partner;
}

/** The comparison of a finished run with its partner; null where there is none. */
export function compareWithPartner(runs: Run[], run: Run | null): Comparison | null {
  if (run?.status !== "done") return null;
  const partner = partnerOf(runs, run);
  if (!partner) return null;
  const [base, qep] = isBase(run.recipe) ? [run, partner] : [partner, run];
  const calibration = endsOf(base.blocks, qep.blocks);
  if (!calibration) return null;
  return { base, qep, timeRatio: timeRatio(base, qep), calibration, evaluations: evaluationEnds(base, qep) };
}

function timeRatio(base: Run, qep: Run): number | null {
  const [b, q] = [base, qep].map((run) => (run.ms ?? 0) - run.streamMs);
  return b > 0 && q > 0 ? q / b : null;
}

function evaluationEnds(base: Run, qep: Run): Comparison["evaluations"] {
  return evaluatedTexts([base]).flatMap((text) => {
    const [b, q] = [base, qep].map((run) => measuredOn(run, text.key)?.evaluation);
    const delta = b && q && endsOf(b.blocks, q.blocks);
    return delta ? { text, delta, perplexity: ends(b.perplexity, q.perplexity) } : [];
  });
}

function endsOf(base: BlockReport[], qep: BlockReport[]): Ends | null {
  const [b, q] = [base.at(-1), qep.at(-1)];
  return b && q && b.index === q.index ? ends(b.delta, q.delta) : null;
}

function ends(base: number, qep: number): Ends {
  return { base, qep, change: base > 0 ? qep / base - 1 : 0, below: qep < base };
}
