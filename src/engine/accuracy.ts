import type { AccuracyChange, TaskChange, TaskScore } from "../results/measures";
import type { Answer } from "./tasks";

const overall = "all";

/** One score per kind of question, in the order in which kinds first appear, then one over all questions. */
export function scoresOf(answers: readonly Answer[]): TaskScore[] {
  return kindsOf(answers).map(([kind, mine]) => {
    const [accuracy, normalizedAccuracy] = ways.map((way) => mine.filter((i) => answers[i][way]).length / mine.length);
    const error = (p: number) => Math.sqrt((p * (1 - p)) / mine.length);
    return {
      kind,
      questions: mine.length,
      accuracy,
      accuracyError: error(accuracy),
      normalizedAccuracy,
      normalizedAccuracyError: error(normalizedAccuracy),
    };
  });
}

/** How the answers of two models to the same questions differ. */
export function changesOf(before: readonly Answer[], after: readonly Answer[]): TaskChange[] {
  return kindsOf(before).map(([kind, mine]) => {
    const [accuracy, normalizedAccuracy] = ways.map((way) => accuracyChangeOf(mine.map((i) => [before[i][way], after[i][way]])));
    return { kind, questions: mine.length, accuracy, normalizedAccuracy };
  });
}

const ways = ["right", "normalizedRight"] as const;

/** How accuracy changes, with the standard error for paired answers: questions that both models answer alike say nothing about the change. */
function accuracyChangeOf(pairs: readonly [before: boolean, after: boolean][]): AccuracyChange {
  const n = pairs.length;
  const lost = pairs.filter(([b, a]) => b && !a).length;
  const won = pairs.filter(([b, a]) => a && !b).length;
  const right = pairs.filter(([b]) => b).length;
  const change = (won - lost) / n;
  const error = Math.sqrt(((won + lost) / n - change ** 2) / n);
  return { before: right / n, after: (right + won - lost) / n, lost, won, error, chance: chanceOf(lost, won) };
}

/** The exact two-sided test of a fair coin (McNemar). With few changed answers, judging by the standard error, as if normal, is too confident. */
function chanceOf(lost: number, won: number): number {
  const n = lost + won;
  let sum = 0;
  for (let k = 0, log = -n * Math.LN2; k <= Math.min(lost, won); k++) {
    sum += Math.exp(log);
    log += Math.log((n - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

function kindsOf(answers: readonly Answer[]): [kind: string, indices: number[]][] {
  const kinds = new Map<string, number[]>();
  for (const [i, { kind }] of answers.entries()) {
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind)!.push(i);
  }
  // A kind that a file itself calls "all" counts in the total and gets no row of its own.
  kinds.delete(overall);
  return [...kinds, [overall, answers.map((_, i) => i)]];
}
