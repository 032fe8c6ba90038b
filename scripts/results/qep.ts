/** What QEP changes, in numbers and in words that follow from them. */
import { standardError } from "./scores";
import { label, list, signed, table } from "./text";
import type { Measurement, Results } from "./types";

export interface Pair {
  name: string;
  base: Measurement;
  qep: Measurement;
}

/** Every recipe that was measured with and without QEP; α and damping other than the default have no base of their own. */
export function pairs(recipes: readonly Measurement[]): Pair[] {
  const byName = new Map(recipes.map((m) => [m.name, m]));
  return recipes.flatMap((base) => {
    const qep = byName.get(`${base.name}-qep`);
    return qep ? [{ name: base.name, base, qep }] : [];
  });
}

const last = (m: Measurement) => m.evaluation.delta.at(-1)!;
const all = (m: Measurement) => m.tasks.find((t) => t.kind === "all");

/** Points of accuracy over all kinds, and the standard error of their difference, the two answers taken as independent. Null: not asked. */
export function accuracyChange({ base, qep }: Pair): { change: number; error: number } | null {
  const [b, q] = [all(base), all(qep)];
  if (!b || !q) return null;
  const error = Math.hypot(standardError(b.accuracy, b.questions), standardError(q.accuracy, q.questions));
  return { change: q.accuracy - b.accuracy, error };
}

/** "QEP lowers X in n of m pairs, … It does not with …": `value` is smaller where it is better. */
function verdict(what: string, among: readonly Pair[], value: (m: Measurement) => number, show: (x: number) => string): string {
  const changes = among.map((p) => ({ label: label(p.name), from: value(p.base), to: value(p.qep), ratio: value(p.qep) / value(p.base) }));
  const better = changes.filter((t) => t.ratio < 1).sort((a, b) => a.ratio - b.ratio);
  const others = changes.filter((t) => !(t.ratio < 1)).sort((a, b) => b.ratio - a.ratio);
  const named = (t: (typeof changes)[number]) => `${t.label} (${show(t.from)} → ${show(t.to)}, ${signed(100 * (t.ratio - 1), 1)} %)`;
  const most = better.length ? `, most with ${named(better[0])}` : "";
  const not = others.length ? ` It does **not** with ${list(others.map(named))}.` : "";
  return `QEP lowers ${what} in ${better.length} of ${changes.length} pairs${most}.${not}`;
}

function taskVerdict(among: readonly Pair[]): string {
  const changes = among.flatMap((p) => {
    const asked = accuracyChange(p);
    return asked ? [{ label: label(p.name), ...asked }] : [];
  });
  const count = (test: (change: number) => boolean) => changes.filter((t) => test(t.change)).length;
  const clear = changes.filter((t) => Math.abs(t.change) > 2 * t.error);
  const sure = clear.length
    ? `The change is more than twice its standard error with ${list(clear.map((t) => `${t.label} (${signed(100 * t.change, 1)} points)`))}.`
    : "No change is more than twice its standard error.";
  return `Right answers, over all kinds: more in ${count((c) => c > 0)} of ${changes.length} pairs, fewer in ${count((c) => c < 0)}, as many in ${count((c) => c === 0)}. ${sure}`;
}

/** The words alone. */
export function qepWords(among: readonly Pair[]): string {
  return [
    verdict(
      "perplexity",
      among,
      (m) => m.perplexity,
      (x) => x.toFixed(3),
    ),
    verdict("Δ after the last block, on the evaluation text,", among, last, (x) => x.toExponential(2)),
    taskVerdict(among),
  ].join("\n\n");
}

export function qepSection({ original, recipes }: Results): string {
  const found = pairs(recipes.filter(({ name }) => !name.includes("first")));
  if (!found.length) return "";
  const rows = found.map((pair) => {
    const { base, qep } = pair;
    const added = original ? (qep.perplexity - original.perplexity) / (base.perplexity - original.perplexity) : Number.NaN;
    const asked = accuracyChange(pair);
    return [
      label(pair.name),
      base.perplexity.toFixed(3),
      qep.perplexity.toFixed(3),
      (qep.perplexity / base.perplexity).toFixed(3),
      original ? added.toFixed(2) : "",
      (last(qep) / last(base)).toFixed(3),
      asked ? `${signed(100 * asked.change, 1)} ± ${(100 * asked.error).toFixed(1)}` : "not asked",
    ];
  });
  const head = ["", "perplexity", "with QEP", "ratio", "of what quantization adds", "Δ, last block", "accuracy, points"];
  return `## What QEP changes

${qepWords(found)}

Each figure is one run on one draw of tokens: how much of a small difference another draw would keep is not measured here. Ratios are QEP's figure over the
base's; "of what quantization adds" compares the two perplexities after the model's own is taken off. The error of the accuracy is that of a difference of
two independent samples.

${table(head, rows)}`;
}
