import type { Checkpoint } from "../model/checkpoint";
import { blockCount } from "../model/generic";
import { flagsText } from "../recipe/flags";
import { alphaTitle, type FormatId, formatTitles, isBase, methodTitles, type Recipe, recipeTitle } from "../recipe/recipe";
import { ruleText } from "../recipe/rules";
import type { Certificate, FileDigest } from "../results/certificate";
import { klText, riseText, sameTopText } from "../results/divergence";
import type { Evaluation } from "../results/measures";
import type { RunReport } from "../results/report";
import { formats } from "./entries";

/** Replaces characters that Markdown or HTML would interpret: names come from untrusted files. */
const plain = (text: string) => text.replace(/[^\p{L}\p{N} ._-]/gu, "·").slice(0, 120);

/** An evaluation, with the name of the text's file. */
export interface NamedEvaluation {
  text: string;
  evaluation: Evaluation;
}

/** What became of the weights that were not quantized. */
function others(recipe: Recipe): string {
  const dtype = formats[recipe.format].othersIn?.(recipe);
  const converted = dtype ? `, in ${dtype}` : "";
  return recipe.rotation === null
    ? `What is not quantized is as in the source${converted}.`
    : `Embeddings, norms, head and biases are the source's, rotated${converted}.`;
}

function gridRow({ type, bits, symmetric, groupSize }: Recipe): [string, string] {
  if (type !== "none") return ["GGUF type", type];
  return ["Bits", `${bits}, ${symmetric ? "symmetric" : "asymmetric"}, ${groupSize < 0 ? "one scale per row" : `groups of ${groupSize}`}`];
}

/** The model card that goes beside the weights: what was done, with what, and what was measured. */
export function modelCard(
  model: Checkpoint,
  report: RunReport,
  evaluations: readonly NamedEvaluation[],
  certificate?: Certificate,
): string {
  const { recipe } = report;
  const last = report.blocks.at(-1);
  const rows: [string, string][] = [
    ["Source", `${plain(model.source.label)} (${plain(model.architecture)}, ${blockCount(model.layers)} blocks)`],
    ["Method", methodTitles[recipe.method]],
    ["Format", formatTitles[recipe.format]],
    gridRow(recipe),
    ["Quantized blocks", recipe.blocks === null ? "all" : `the first ${recipe.blocks}`],
    ["QEP", isBase(recipe) ? "off" : `α ${alphaTitle(recipe)}, damping ${recipe.qep.damp ?? "auto"}`],
    ...(recipe.rotation === null
      ? []
      : [["Rotation", `fused (residual stream and values), seed ${recipe.rotation}; the head is untied`] as [string, string]]),
    ...recipe.rules.map((rule): [string, string] => ["Rule", ruleText(rule).replaceAll("*", "\\*")]),
    last
      ? ["Error after the last block", `Δ = ${last.delta.toPrecision(6)}, relative ${last.relativeDelta.toPrecision(4)}`]
      : ["Calibration", "none: QEP Studio cannot run this architecture, so its layers were rounded to nearest"],
    ["All settings, as options", `\`${flagsText(recipe)}\``],
    ["Adapter", plain(report.adapter)],
  ];
  for (const { text, evaluation } of evaluations) rows.push(...measuredRows(plain(text), evaluation));
  if (certificate) rows.push(...certificateRows(certificate));
  return [
    "---",
    ...hubKeys(recipe.format),
    "---",
    "",
    `# ${plain(model.source.label)}, ${recipeTitle(recipe)}`,
    "",
    `Quantized with QEP Studio ${report.version} (Quantization Error Propagation, Arai & Ichikawa, NeurIPS 2025).`,
    "",
    "| | |",
    "|---|---|",
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
    "",
    ...formats[recipe.format].notes(recipe, model),
    others(recipe),
    "`recipe.json` reproduces the run.",
    "",
  ].join("\n");
}

function measuredRows(text: string, { perplexityBefore, perplexity, divergence, tokens }: Evaluation): [string, string][] {
  return [
    [
      `Perplexity on ${text}`,
      `${perplexityBefore.toFixed(4)} before, ${perplexity.toFixed(4)} after (${tokens} tokens): ${riseText(divergence)}`,
    ],
    [`KL divergence from the source on ${text}`, klText(divergence)],
    [`Same top token as the source on ${text}`, sameTopText(divergence)],
  ];
}

const weightFile = /\.(safetensors|gguf|onnx)$|_data(_\d+)?$/;
const namedAtMost = 8;

/** What was read back, and the weights' digests: of the source and of this export. */
function certificateRows({ readBack, source, written }: Certificate): [string, string][] {
  const { tensors, bytes } = readBack;
  const [count, size] = [tensors, bytes].map((n) => n.toLocaleString("en"));
  const digests = (what: string, files: readonly FileDigest[]) =>
    files
      .filter(({ name }) => weightFile.test(name))
      .slice(0, namedAtMost)
      .map(({ name, sha256 }): [string, string] => [`SHA-256 of ${what} ${plain(name)}`, `\`${sha256}\``]);
  return [
    [
      "Read back",
      `${count} tensors, ${size} bytes: each byte as it was to be written, every weight finite; \`certificate.json\` has all digests`,
    ],
    ...digests("this", written),
    ...digests("the source’s", source),
  ];
}

/** What the Hub finds a model by. */
function hubKeys(format: FormatId): string[] {
  const { library = "transformers" } = formats[format];
  return library === null ? [`tags: [quantized, qep, ${format}]`] : [`library_name: ${library}`, "tags: [quantized, qep]"];
}
