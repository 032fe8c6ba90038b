/** The error's growth where only the first blocks are quantized, as in the paper's Figure 1. */
import { chart } from "./chart";
import comparison from "./growth.md?raw";
import { type Pair, pairs } from "./qep";
import { label, list, short, table } from "./text";
import type { Measurement, Oracle, Results } from "./types";

const quantizedBlocks = ({ flags }: Measurement) => Number(flags[flags.indexOf("--blocks") + 1]);

const isPartial = ({ flags }: { flags: readonly string[] }) => flags.includes("--blocks");

/** By what Δ is multiplied from block `from` to block `to`, block by block (both counted from 1). */
export function factors(delta: readonly number[], from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => delta[from + i] / delta[from + i - 1]);
}

const range = (x: readonly number[]) => `${Math.min(...x).toFixed(2)}…${Math.max(...x).toFixed(2)}`;

function figure({ name, base, qep }: Pair, oracle: Oracle): string {
  const lines = (kind: "delta" | "relativeDelta") => [
    { label: "without QEP", color: "#bc4c00", values: base.calibration[kind], dots: oracle[base.name][kind] },
    { label: "with QEP", color: "#0969da", values: qep.calibration[kind], dots: oracle[qep.name][kind] },
  ];
  return chart(`Growth of Δ: ${label(name)}`, quantizedBlocks(base), [
    { title: "Δ_m = ‖h_m − ĥ_m‖²", axis: "log", lines: lines("delta") },
    { title: "Δ_m / ‖h_m‖²", axis: "linear", lines: lines("relativeDelta") },
  ]);
}

function row(m: Measurement): string[] {
  const n = quantizedBlocks(m);
  const { delta, relativeDelta } = m.calibration;
  const blocks = delta.length;
  return [
    label(m.name),
    ...[delta[0], delta[n - 1], delta[blocks - 1]].map(short),
    range(factors(delta, 1, n)),
    range(factors(delta, n, blocks)),
    ...[relativeDelta[0], relativeDelta[n - 1], relativeDelta[blocks - 1]].map(short),
  ];
}

function sentence({ name, base, qep }: Pair): string {
  const ratio = (kind: "calibration" | "evaluation") => (qep[kind].delta.at(-1)! / base[kind].delta.at(-1)!).toFixed(2);
  return `${ratio("calibration")} with ${label(name)} (${ratio("evaluation")} on the evaluation text)`;
}

const partial = (results: Results) => pairs(results.recipes.filter(isPartial));

const path = (pair: Pair) => `growth-${pair.name}.svg`;

/** SVG files by their name in docs/results. */
export function figures(results: Results, oracle: Oracle): [string, string][] {
  return partial(results).map((pair) => [path(pair), figure(pair, oracle)]);
}

export function growthSection(results: Results, oracle: Oracle): string {
  const found = partial(results);
  if (!found.length) return "";
  const [{ base }] = found;
  const [n, blocks] = [quantizedBlocks(base), base.calibration.delta.length];
  const images = found.map((pair) => `![Growth of Δ through the blocks, ${label(pair.name)}](results/${path(pair)})`);
  const head = [
    "",
    "Δ_1",
    `Δ_${n}`,
    `Δ_${blocks}`,
    `× a block, to ${n}`,
    "× a block, after",
    "relative Δ_1",
    `relative Δ_${n}`,
    `relative Δ_${blocks}`,
  ];
  const whole = found.length === Object.values(oracle).filter(isPartial).length / 2;
  return `## Growth of the error

The first ${n} of ${blocks} blocks are quantized, the rest run in full precision on what they are given. Lines are ours, rings the oracle's, on the calibration tokens.
Of Δ after the last block QEP leaves ${list(found.map(sentence))}.

${images.join("\n\n")}

In numbers; "× a block" is the least and the greatest factor from one block to the next, among the quantized blocks and after them:

${table(
  head,
  found.flatMap((pair) => [row(pair.base), row(pair.qep)]),
)}${whole ? `\n\n${comparison.trim()}` : ""}`;
}
