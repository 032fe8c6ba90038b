/** Which of the given files hold the weights, chosen in transformers' order, and which are left out. */
import { QuantError } from "../errors";
import { findFile } from "./source";
import { shown, shownList } from "./text";
import type { Source, SourceFile } from "./types";

const SINGLE_NAME = "model.safetensors";
export const INDEX_NAME = "model.safetensors.index.json";

/** The weight files themselves (`read` names them in words), or the index that names them. */
export type ChosenWeights = { kind: "files"; files: readonly SourceFile[]; read: string } | { kind: "index"; index: SourceFile };

const safetensors = /\.safetensors$/;
/** Weight files that are not the model: adapters, and Mistral's second copy under its own tensor names. */
const apart = /^(adapter_|consolidated[.-])/;
const others = /\.(bin|pth?|ckpt|gguf|ggml|onnx|h5|msgpack)$/i;
const series = /^(.*)-(\d{1,6})-of-(\d{1,6})\.safetensors$/s;

/**
 * Chooses as transformers does: what config.json names (`transformers_weights`), else model.safetensors, else the index. Where none of them is there,
 * transformers fails; here a single file, or a single series of shards, is taken if nothing else can be the model.
 * @throws QuantError missing-file, contradiction.
 */
export function chooseWeights(source: Source, named?: string): ChosenWeights {
  if (named !== undefined) return namedWeights(source, named);
  const single = findFile(source, SINGLE_NAME);
  if (single) return { kind: "files", files: [single], read: SINGLE_NAME };
  const index = findFile(source, INDEX_NAME);
  if (index) return { kind: "index", index };
  return onlyWeights(source);
}

function namedWeights(source: Source, named: string): ChosenWeights {
  const file = findFile(source, named);
  if (!file || !/\.safetensors(\.index\.json)?$/.test(named)) throw missing([named], "named by config.json's transformers_weights");
  return safetensors.test(named) ? { kind: "files", files: [file], read: shown(named) } : { kind: "index", index: file };
}

function onlyWeights(source: Source): ChosenWeights {
  const candidates = source.files.filter(({ name }) => safetensors.test(name) && !apart.test(name));
  const bin = source.files.find(({ name }) => /^pytorch_model.*\.bin$/.test(name));
  if (!candidates.length || bin) throw noWeights(source);
  const groups = new Set(candidates.map(({ name }) => name.replace(series, "$1-…-of-$3")));
  if (groups.size > 1)
    throw new QuantError(
      "contradiction",
      `several files could be the model: ${shownList([...groups], 10)}`,
      `Leave only the model's own, or rename it to ${SINGLE_NAME}.`,
    );
  checkSeries(candidates);
  return {
    kind: "files",
    files: candidates,
    read: candidates.length > 1 ? `the ${candidates.length} files of the series` : shown(candidates[0].name),
  };
}

/** Names like model-00001-of-00003.safetensors promise the whole series. */
function checkSeries(files: readonly SourceFile[]): void {
  const m = series.exec(files[0].name);
  if (!m) return;
  const have = new Set(files.map((f) => f.name));
  const lost: string[] = [];
  for (let i = 1; i <= Number(m[3]); i++) {
    const part = `${m[1]}-${String(i).padStart(m[2].length, "0")}-of-${m[3]}.safetensors`;
    if (!have.has(part)) lost.push(part);
  }
  if (lost.length) throw missing(lost, `promised by the name ${shown(files[0].name)}`);
}

/** The error for files that are not there. @param because who asks for them, such as "named by model.safetensors.index.json". */
export function missing(names: readonly string[], because: string): QuantError {
  const hint = names.length > 1 ? "Add these files and choose the folder again." : "Add this file and choose the folder again.";
  return new QuantError("missing-file", `${shownList(names)} (${because})`, hint);
}

/** The error for files among which there are no usable weights, saying what they are instead. */
export function noWeights({ files, label }: Source): QuantError {
  const has = (pattern: RegExp) => files.find(({ name }) => pattern.test(name))?.name;
  const no = (where: string, hint: string) =>
    new QuantError("missing-file", `${where}, and there are no .safetensors weights of a model`, hint);
  if (/^models--/.test(label) && !has(/^config\.json$/))
    return no(`${shown(label)} is the Hub cache's own folder`, "Choose the folder inside it that is named by a long number: snapshots/….");
  const adapter = has(/^adapter_(model|config)\./);
  const bin = has(/\.bin$/i);
  const pth = has(/\.pth?$/i) ?? has(/^params\.json$/);
  const consolidated = has(/^consolidated[.-].*safetensors$/);
  if (adapter)
    return no(
      `${shown(adapter)} is a LoRA adapter`,
      "Merge it into its base model first (peft: merge_and_unload), or open the base model.",
    );
  if (bin)
    return no(
      `${shown(bin)} is in PyTorch's pickle format`,
      "Get the .safetensors version, or convert it: save_pretrained of transformers writes it.",
    );
  if (consolidated)
    return no(`${shown(consolidated)} uses Mistral's own tensor names`, "Get the model-….safetensors files of the same repository.");
  if (pth)
    return no(`${shown(pth)} is in Meta's original format`, 'Get the Hugging Face version of this model (its name often ends in "-hf").');
  return new QuantError(
    "missing-file",
    `*.safetensors (none in ${shown(label)})`,
    "Choose a folder that holds config.json and the model's .safetensors files.",
  );
}

/** A sentence that names the weights and indexes that were left out, if any. @param read what was read instead, in words. */
export function leftOut(source: Source, chosen: readonly SourceFile[], read: string): string[] {
  const names = source.files.filter((file) => !chosen.includes(file)).map(({ name }) => name);
  const weights = names.filter((name) => safetensors.test(name) || others.test(name));
  const indexes = names.filter((name) => /\.index\.json$/.test(name) && !read.includes(name)).map((name) => `the index ${name}`);
  const left = [...weights, ...indexes];
  return left.length ? [`Read ${read}; left out: ${shownList(left, 8)}.`] : [];
}
