import { type ParseArgsConfig, parseArgs } from "node:util";
import { QuantError } from "../errors";
import { optionsHelp } from "../recipe/describe";
import { recipeOptions } from "../recipe/flags";
import { leastGpuMemory } from "../results/adapter";

type Options = NonNullable<ParseArgsConfig["options"]>;

export const usage = `qep-studio: quantize Llama-family checkpoints on WebGPU, and measure how the error grows.

  qep-studio inspect  MODEL [--json]
  qep-studio quantize MODEL_DIR --out DIR --calibration FILE
             [--for PLACE] [--preset quick|good|paper] [--recipe recipe.json] [--text-field NAME] [--report FILE.json] [--resume] [--force] [--gpu-memory 2GiB] [--cpu] [recipe options]
  qep-studio evaluate MODEL --text FILE | --tokens FILE.npy
             [--against ORIGINAL] [--text-field NAME] [--windows n] [--window-length 256] [--json] [--gpu-memory 2GiB] [--cpu]
  qep-studio tasks    MODEL --tasks FILE [--limit n] [--json] [--gpu-memory 2GiB] [--cpu]
  qep-studio verify   DIR | FILE [--against MODEL_DIR] [--json]

MODEL is a folder, or a GGUF file. --for sets format, grid, groups and GGUF type for where the result will run; --preset sets method and QEP: good (the default), quick, or paper.
Recipe options of quantize, which override these two and --recipe's file [defaults in brackets]:
${optionsHelp()}

Calibration and evaluation files: plain text (one document); .jsonl, .json, .csv, .tsv, .parquet (one document per row), gzipped too; .npy (int32 token ids).
--gpu-memory is the most that a command may take on the GPU; activations that find no room there wait in main memory, then on disk.
--cpu runs the float64 reference instead of a GPU: slow, but correct everywhere. Exit codes are in docs/cli.md.`;

export const inspectOptions = { json: { type: "boolean" } } satisfies Options;

/** What the engine computes on. */
const deviceOptions = { cpu: { type: "boolean" }, "gpu-memory": { type: "string" } } satisfies Options;

/** The options of quantize that are not about the recipe. */
export const otherOptions = {
  out: { type: "string" },
  calibration: { type: "string" },
  "text-field": { type: "string" },
  recipe: { type: "string" },
  preset: { type: "string" },
  report: { type: "string" },
  force: { type: "boolean" },
  resume: { type: "boolean" },
  ...deviceOptions,
} satisfies Options;

export const quantizeOptions = { ...recipeOptions, ...otherOptions };

export const evaluateOptions = {
  text: { type: "string" },
  tokens: { type: "string" },
  against: { type: "string" },
  "text-field": { type: "string" },
  windows: { type: "string" },
  "window-length": { type: "string" },
  json: { type: "boolean" },
  ...deviceOptions,
} satisfies Options;

export const tasksOptions = {
  tasks: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
  ...deviceOptions,
} satisfies Options;

export const verifyOptions = { against: { type: "string" }, json: { type: "boolean" } } satisfies Options;

export const wrong = (what: string, hint = "See qep-studio --help.") => new QuantError("bad-argument", what, hint);

/** Of these names, the one that begins with the word, or has at most two letters inserted, left out or exchanged. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const farthest = Math.min(2, Math.floor(word.length / 3));
  const byDistance = names.map((name) => ({ name, d: distance(word, name) })).sort((a, b) => a.d - b.d);
  const [best] = byDistance.filter(({ d }) => d <= farthest);
  return best?.name ?? (word.length > 2 ? names.find((name) => name.startsWith(word)) : undefined);
}

/** Letters to insert, leave out or exchange until one word is the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries())
    row = row.reduce<number[]>((next, up, j) => {
      next.push(j ? Math.min(up + 1, next[j - 1] + 1, row[j - 1] + (letter === b[j - 1] ? 0 : 1)) : i + 1);
      return next;
    }, []);
  return row[b.length];
}

/** The model's folder and the options of one command. @throws QuantError `bad-argument`. */
export function parseCommandLine<O extends Options>(args: string[], options: O) {
  // Node's parser takes "--group-size -1" for two options; a value that is a negative number is joined to its option first.
  const joined = args.reduce<string[]>((out, a) => {
    const last = out.at(-1);
    if (last?.startsWith("--") && !last.includes("=") && /^-\d/.test(a)) out[out.length - 1] = `${last}=${a}`;
    else out.push(a);
    return out;
  }, []);
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: O; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: joined, options, allowPositionals: true, allowNegative: true });
  } catch (e) {
    // Node's advice on arguments that begin with a dash, from the second sentence on, helps with no option of ours.
    const [what] = (e as Error).message.split(/\.?\n|\. |\.$/);
    const unknown = /^Unknown option '(?:--)?([^']+)'/.exec(what)?.[1];
    const near = unknown && nearest(unknown, Object.keys(options));
    throw wrong(what, near ? `Did you mean --${near}? See qep-studio --help.` : undefined);
  }
  if (parsed.positionals.length !== 1)
    throw wrong(parsed.positionals.length ? "more than one model folder is given" : "no model folder is given");
  return { folder: parsed.positionals[0], options: parsed.values };
}

/** The whole number that an option gives. @throws QuantError `bad-argument` for anything else, and for less than `least`. */
export function countOf(option: string, text: string, least = 1): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < least)
    throw wrong(`--${option} is "${text}"`, `Give a whole number, at least ${least}.`);
  return value;
}

const units = { "": 2 ** 30, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

/** The bytes of --gpu-memory: 2GiB, 1500M, or a number of GiB; null where it is not given. @throws QuantError `bad-argument`. */
export function memoryOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, digits, unit] = /^([\d.]+)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  const bytes = Number(digits) * units[(unit ?? "").toLowerCase() as keyof typeof units];
  if (!Number.isFinite(bytes)) throw wrong(`--gpu-memory is "${text}", which is not a size`, "Write it as 2GiB or 1500MiB.");
  if (bytes < leastGpuMemory) throw wrong(`--gpu-memory is ${text}`, `Allow at least ${leastGpuMemory / 2 ** 20} MiB.`);
  return Math.floor(bytes);
}
