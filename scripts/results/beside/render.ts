/** The part "Beside llama.cpp" of docs/results.md, out of docs/results/beside-*.json. */
import { list, table } from "../text";
import { filesOf, fileTypes, isUnpacked, ways } from "./plan";
import type { Beside, Score, Scored } from "./types";

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const range = (values: readonly number[]) => Math.max(...values) - Math.min(...values);

/** What the page says of the types that a table lacks. */
function missing(rows: readonly Scored[]): string {
  const short = [...new Set(rows.map(({ type }) => type))].flatMap((type) => {
    const there = rows.filter((r) => r.type === type && r.method in ways);
    const files = there.reduce((sum, { scores }) => sum + scores.length, 0);
    const wanted = filesOf([type]).length;
    return files < wanted ? [`${type} ${files} of ${wanted}`] : [];
  });
  const absent = Object.keys(fileTypes).filter((type) => !rows.some((r) => r.type === type));
  const parts = [...short, ...(absent.length ? [`nothing of ${list(absent)}`] : [])];
  return parts.length ? `Files measured so far: ${list(parts)}.` : "";
}

/** The mean, and the largest less the smallest of the draws. */
function cell(values: readonly number[], digits: number): string {
  const text = mean(values).toFixed(digits);
  return values.length > 1 ? `${text} (${range(values).toFixed(digits)})` : text;
}

function row({ type, method, bytes, scores, build }: Scored): string[] {
  const of = (key: keyof Score, factor = 1) => scores.map((score) => factor * score[key]);
  const cells = [cell(of("divergence", 1000), 2), cell(of("agreement", 100), 2), cell(of("perplexity"), 4)];
  return [type, method, String(scores.length), `${(mean(bytes) / 1e6).toFixed(3)}`, ...cells, shortOf(build)];
}

const imatrix = "llama.cpp, imatrix";
const good = "the preset Good";

/** Where the preset Good, or else the best of our ways, stands to llama.cpp with an imatrix, in divergence: in words that follow from the numbers. */
export function verdict(rows: readonly Scored[], type: string): string | null {
  const of = (row: Scored) => row.scores.map(({ divergence }) => divergence);
  const mine = rows.filter((r) => r.type === type && !r.method.startsWith("llama.cpp"));
  const theirs = rows.find((r) => r.type === type && r.method === imatrix);
  const bestOf = (some: readonly Scored[]) => some.reduce((a, b) => (mean(of(b)) < mean(of(a)) ? b : a));
  // A way of former times only shows what was changed.
  const today = mine.filter(({ method }) => method in ways);
  if (!theirs || !today.length) return null;
  const best = bestOf(mine);
  const chosen = today.find(({ method }) => method === good) ?? bestOf(today);
  const [b, t] = [mean(of(chosen)), mean(of(theirs))];
  const known = Math.min(chosen.scores.length, theirs.scores.length) > 1;
  const beyond = Math.abs(b - t) > Math.max(range(of(chosen)), range(of(theirs)));
  const side = b < t ? "nearer" : "**farther**";
  const where = !known
    ? `${side} in one draw, whose spread is not measured`
    : beyond
      ? `${side} beyond the spread`
      : "as near within the spread of the draws";
  const figures = `${(1000 * b).toFixed(2)} against ${(1000 * t).toFixed(2)} (× ${(b / t).toFixed(2)}), ${chosen.scores.length} and ${theirs.scores.length} draws`;
  const better = best === chosen ? "" : ` Least of ours: “${best.method}”, ${(1000 * mean(of(best))).toFixed(2)}.`;
  return `- ${type}: “${chosen.method}” is ${where}: ${figures}.${better}`;
}

const shortOf = (build: string): string => build.slice(0, 4);

/** Which build ran on what. */
function buildsOf(rows: readonly Scored[]): string {
  const builds = new Map(rows.map(({ build, adapter }) => [build, adapter]));
  return list([...builds].map(([build, adapter]) => `${shortOf(build)} on ${adapter}`));
}

/** A sentence on the types of which libllama read an f16 copy. */
function unpacked(rows: readonly Scored[]): string {
  const types = new Set(rows.filter(({ type, bytes }) => bytes.some((size) => isUnpacked(type, size))).map(({ type }) => type));
  const copies = "libllama has no fast product for it, and scored the f16 copies that it makes of the files, with the same weights";
  return types.size ? `${list([...types])}: ${copies}.\n\n` : "";
}

function part({ model, versions, calibration, evaluation, original, rows }: Beside): string {
  const types = [...new Set(rows.map(({ type }) => type))];
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `### ${model}

Calibration: ${calibration.windows} of the text's ${calibration.of} windows of ${calibration.length} tokens a draw; evaluation: ${evaluation.windows} windows of ${evaluation.length}. Ours by build ${buildsOf(rows)}; ${used.join(", ")}.

${missing(rows)}

The f16 original: ${(original.bytes / 1e6).toFixed(3)} MB, perplexity ${original.perplexity.toFixed(4)}.

${unpacked(rows)}${types.flatMap((type) => verdict(rows, type) ?? []).join("\n")}

${table(["type", "made by", "draws", "MB", "KL × 1000", "top-1 %", "perplexity", "build"], rows.map(row), 2)}`;
}

export function besideSection(all: readonly Beside[]): string {
  if (!all.length) return "";
  return `## Beside llama.cpp

Files of the same types by llama.cpp's own quantizer and by ours, all read and scored by libllama itself (\`npm run results -- --beside\`). "imatrix": the mean square
of every layer's inputs over the calibration windows that ours has, handed to \`llama_model_quantize\`. KL is the mean divergence from the f16 original's
distribution, top-1 the share of positions with its most likely token. Where several draws of calibration windows were made: their mean, and in brackets the largest less the
smallest. GPTQ and "GPTQ + QEP" have the paper’s settings; the preset Good, the default, corrects down_proj too, goes through columns in act-order, and finds each layer’s damping where the paper has 0.01 (ARCHITECTURE.md, decision 18). A row keeps the build that measured it. Draws are from one text and share windows, so another text would spread more. Perplexity here moves by chance more than KL does: a file
farther from the original can have the lower one. Q2_K_M is llama.cpp's file type Q2_K, a mix; "Q2_K" has that type in every layer, and Q6_K in the head. Where a row is not whole blocks, both
sides take llama.cpp's fallback. MB is the size of the file. Which of ours is least is told by the evaluation windows themselves. SmolLM2-135M's weights
were taken from a Q4_1 file, so that they lie near a grid of 4 bits: 2 and 3 bits say more there. Its rows of 576 are no whole super-blocks, so that only the 1536 inputs of
down_proj are on K-quants, and the other layers on the fall-backs.

${all.map(part).join("\n\n")}`;
}
