import { type ParseArgsConfig, parseArgs } from "node:util";
import { QuantError } from "../errors";

type Options = NonNullable<ParseArgsConfig["options"]>;

export const usage = `qep-studio: quantize Llama-family checkpoints on WebGPU, and measure how the error grows.

  qep-studio inspect  MODEL_DIR [--json]
  qep-studio quantize MODEL_DIR --out DIR --calibration FILE
             [--method rtn|gptq|awq|quip|gptaq] [--bits 2|3|4|8] [--group-size -1|32|64|128] [--sym]
             [--damp 0.01] [--act-order] [--mse] [--live-groups]          (gptq, gptaq)
             [--quip-seed 0] [--gptaq-alpha 0.25]
             [--alpha 0.5] [--alpha-choice given|guarded|best] [--held-out 4] [--qep-damp 0.01]
             [--rule "PATTERN: bits=8 group=32 method=rtn alpha=0"]... [--rotate [--rotation-seed 0]] [--blocks n]
             [--text-field NAME] [--windows n] [--window-length 256] [--seed 0] [--format dense|gptq]
             [--recipe recipe.json] [--report FILE.json] [--resume] [--force] [--cpu]
  qep-studio evaluate MODEL_DIR --text FILE | --tokens FILE.npy
             [--text-field NAME] [--windows n] [--window-length 256] [--json] [--cpu]
  qep-studio tasks    MODEL_DIR --tasks FILE [--limit n] [--json] [--cpu]

Calibration and evaluation files: plain text (one document); .jsonl, .json, .csv, .tsv, .parquet (a document a row), gzipped too; .npy (int32 token ids).
--cpu runs the float64 reference instead of a GPU: slow, and right everywhere. Exit codes are in docs/cli.md.`;

export const inspectOptions = { json: { type: "boolean" } } satisfies Options;

export const quantizeOptions = {
  out: { type: "string" },
  method: { type: "string" },
  bits: { type: "string" },
  "group-size": { type: "string" },
  sym: { type: "boolean" },
  alpha: { type: "string" },
  "alpha-choice": { type: "string" },
  "held-out": { type: "string" },
  rotate: { type: "boolean" },
  "rotation-seed": { type: "string" },
  rule: { type: "string", multiple: true },
  "qep-damp": { type: "string" },
  damp: { type: "string" },
  "act-order": { type: "boolean" },
  mse: { type: "boolean" },
  "live-groups": { type: "boolean" },
  "quip-seed": { type: "string" },
  "gptaq-alpha": { type: "string" },
  blocks: { type: "string" },
  calibration: { type: "string" },
  "text-field": { type: "string" },
  windows: { type: "string" },
  "window-length": { type: "string" },
  seed: { type: "string" },
  format: { type: "string" },
  recipe: { type: "string" },
  report: { type: "string" },
  force: { type: "boolean" },
  resume: { type: "boolean" },
  cpu: { type: "boolean" },
} satisfies Options;

export const evaluateOptions = {
  text: { type: "string" },
  tokens: { type: "string" },
  "text-field": { type: "string" },
  windows: { type: "string" },
  "window-length": { type: "string" },
  json: { type: "boolean" },
  cpu: { type: "boolean" },
} satisfies Options;

export const tasksOptions = {
  tasks: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
  cpu: { type: "boolean" },
} satisfies Options;

export const wrong = (what: string, hint = "See qep-studio --help.") => new QuantError("bad-argument", what, hint);

/** The model's folder and the options of one command. @throws QuantError `bad-argument`. */
export function parse<O extends Options>(args: string[], options: O) {
  // Node's parser takes "--group-size -1" for two options; a value that is a negative number is joined to its option first.
  const joined = args.reduce<string[]>((out, a) => {
    const last = out.at(-1);
    if (last?.startsWith("--") && !last.includes("=") && /^-\d/.test(a)) out[out.length - 1] = `${last}=${a}`;
    else out.push(a);
    return out;
  }, []);
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: O; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: joined, options, allowPositionals: true });
  } catch (e) {
    throw wrong((e as Error).message.split("\n")[0].replace(/\.$/, ""));
  }
  if (parsed.positionals.length !== 1)
    throw wrong(parsed.positionals.length ? "more than one model folder is given" : "no model folder is given");
  return { folder: parsed.positionals[0], options: parsed.values };
}

/** @throws QuantError `bad-argument` naming the option. */
export function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw wrong(`--${option} is "${text}", which is not a number`);
  return value;
}
