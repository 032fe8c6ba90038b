/** docs/results.md and its files out of what was measured: nothing here measures, and nothing is typed in that a number decides. */
import { agreementSection } from "./agreement";
import { besideSection } from "./beside/render";
import type { Beside } from "./beside/types";
import { figures, growthSection } from "./growth";
import { qepSection } from "./qep";
import { scoresSection } from "./scores";
import { label, list } from "./text";
import type { Oracle, Results } from "./types";

export const dataPath = "docs/results/results.json";

/** All files by their path in the project. */
export function render(results: Results, oracle: Oracle, beside: readonly Beside[] = []): Map<string, string> {
  return new Map([
    [dataPath, `${JSON.stringify(results, null, 1)}\n`],
    ["docs/results.md", page(results, oracle, beside)],
    ...figures(results, oracle).map(([name, svg]): [string, string] => [`docs/results/${name}`, svg]),
  ]);
}

function page(results: Results, oracle: Oracle, beside: readonly Beside[]): string {
  const sections = [
    head(results),
    missing(results, oracle),
    ...(results.original || results.recipes.length ? [scoresSection(results, oracle)] : []),
    qepSection(results),
    growthSection(results, oracle),
    besideSection(beside),
    ...(results.recipes.length ? [agreementSection(results, oracle)] : []),
  ];
  return `${sections.filter(Boolean).join("\n\n")}\n`;
}

function head({ adapter, fingerprint, model, calibration, evaluation, original, recipes }: Results): string {
  const questions = (original ?? recipes[0])?.tasks.find((t) => t.kind === "all")?.questions ?? 0;
  const size = ({ windows, length }: { windows: number; length: number }) => `${windows} windows of ${length} tokens`;
  return `# Results

Written by \`npm run results\`, which measures the demo model with this project's engine and compares it with the oracle's figures, and by
\`npm run results -- --beside\`, which compares GGUF files with llama.cpp's; do not edit.

- Adapter: ${adapter}, in Node with Dawn. Build and data: ${fingerprint}.
- Model: \`public/demo/model\`, ${model.blocks} blocks, ${model.hidden} wide. Calibration: ${size(calibration)}; evaluation: ${size(evaluation)}, the oracle's own (\`tests/fixtures/demo\`).
- Tasks: the ${questions} questions of \`public/demo/tasks.jsonl\` in four kinds, zero-shot by log-likelihood, asked of the weights as the run left them.
- QEP: α ½ (0 for \`down_proj\`), damping 0.01, unless a recipe says otherwise. Grids are asymmetric and span a whole row unless it says \`sym\` or \`g\`. QuIP draws from seed 0.
  Windows are used whole and in order, so no other seed takes part. (This list is not about the part "Beside llama.cpp", which says its own.)
- All figures: [results.json](results/results.json).`;
}

function missing({ original, recipes }: Results, oracle: Oracle): string {
  const there = new Set(recipes.map((m) => m.name));
  const names = [
    ...(original ? [] : ["the model as it is"]),
    ...Object.keys(oracle)
      .filter((name) => !there.has(name))
      .map(label),
  ];
  if (!names.length) return "";
  return `**This page is not complete.** Not measured yet: ${list(names)}. \`npm run results\` measures them and writes the page again.`;
}
