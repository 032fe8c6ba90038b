/** The table of the paper: perplexity and zero-shot accuracy. */
import { label, table } from "./text";
import type { Figures, Measurement, Oracle, Original, Results } from "./types";

type Score = Original["tasks"][number];
type Which = "accuracy" | "normalizedAccuracy";

/** Method × bits, with and without QEP: four methods at 4, 3 and 2 bits. */
export const isTabled = (name: string): boolean => /^(rtn|gptq|awq|quip)-[432](-qep)?$/.test(name);

/** Of a share among n independent questions. */
export const standardError = (share: number, n: number): number => Math.sqrt((share * (1 - share)) / n);

const cell = (score: Score, which: Which) =>
  `${(100 * score[which]).toFixed(1)} ± ${(100 * standardError(score[which], score.questions)).toFixed(1)}`;

const relative = (off: number) => `${off < 0 ? "−" : "+"}${Math.abs(off).toExponential(1)}`;

function row(name: string, m: Original | Measurement, expected: number, which: Which): string[] {
  const scores = m.tasks.map((score) => cell(score, which));
  if (which === "normalizedAccuracy") return [name, ...scores];
  return [name, m.perplexity.toFixed(4), expected.toFixed(4), relative(m.perplexity / expected - 1), ...scores];
}

function rows({ original, chance, recipes }: Results, oracle: Oracle, which: Which): string[][] {
  const kinds = (original ?? recipes[0]).tasks.map(({ kind }) => kind);
  const before = Object.values<Figures>(oracle)[0].perplexityBefore;
  return [
    ["a choice at random", ...(which === "accuracy" ? ["", "", ""] : []), ...kinds.map((kind) => (100 * chance[kind]).toFixed(1))],
    ...(original ? [row("the model as it is", original, before, which)] : []),
    ...recipes.filter(({ name }) => isTabled(name)).map((m) => row(label(m.name), m, oracle[m.name].perplexity, which)),
  ];
}

export function scoresSection(results: Results, oracle: Oracle): string {
  const tasks = (results.original ?? results.recipes[0]).tasks;
  const kinds = tasks.map(({ kind, questions }) => `${kind} (${questions})`);
  return `## Perplexity and tasks

Perplexity on the evaluation tokens, ours beside the oracle's. Accuracy in per cent ± one binomial standard error; in brackets the number of questions. An
error of 0.0 at 100 % says only that no question went wrong.

${table(["", "perplexity", "oracle's", "relative difference", ...kinds], rows(results, oracle, "accuracy"))}

The same questions by log-likelihood over the length of a choice in bytes:

${table(["", ...kinds], rows(results, oracle, "normalizedAccuracy"))}`;
}
