/** Which safetensors files make up the checkpoint: by the index, by numbered names, or simply all there are. */
import { QuantError } from "../errors";
import { readJson } from "./json";
import { findFile } from "./source";
import { isPlainName, shown, shownList } from "./text";
import type { Source, SourceFile } from "./types";

export const INDEX_NAME = "model.safetensors.index.json";
const INDEX_LIMIT = 25_000_000;

export interface ShardSet {
  readonly files: SourceFile[];
  /** Tensor name -> file name, when there is an index. */
  readonly index?: ReadonlyMap<string, string>;
}

function badIndex(problem: string): QuantError {
  return new QuantError("bad-file", `${INDEX_NAME}: ${problem}`, "Download the index file again.");
}

/** The weight_map of an index. File names must be plain ones, so that a name can never lead out of the folder. */
async function readIndex(file: SourceFile): Promise<Map<string, string>> {
  const json = await readJson(file, INDEX_LIMIT);
  const map = typeof json === "object" && json !== null ? (json as { weight_map?: unknown }).weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw badIndex("there is no weight_map object");
  const out = new Map<string, string>();
  for (const [tensor, name] of Object.entries(map)) {
    if (typeof name !== "string") throw badIndex(`${shown(tensor)} has no file name`);
    if (!isPlainName(name)) throw badIndex(`${shown(tensor)} is said to be in "${shown(name)}", which is not a plain file name`);
    out.set(tensor, name);
  }
  if (out.size === 0) throw badIndex("weight_map is empty");
  return out;
}

function missing(names: string[], because: string): QuantError {
  const hint = names.length > 1 ? "Add these files and choose the folder again." : "Add this file and choose the folder again.";
  return new QuantError("missing-file", `${shownList(names)} (${because})`, hint);
}

function noShards(source: Source): QuantError {
  const other = source.files.find((f) => /\.(bin|gguf|pth|pt|ckpt|onnx)$/i.test(f.name));
  const hint = other
    ? `${shown(other.name)} is in another format; get the safetensors version of this model, or convert it first.`
    : "Choose a folder that holds config.json and the model's .safetensors files.";
  return new QuantError("missing-file", `*.safetensors (none in ${shown(source.label)})`, hint);
}

/** Names like model-00001-of-00003.safetensors promise the whole series. */
function checkSeries(files: readonly SourceFile[]): void {
  const have = new Set(files.map((f) => f.name));
  const checked = new Set<string>();
  for (const { name } of files) {
    const m = /^(.*)-(\d{1,6})-of-(\d{1,6})\.safetensors$/s.exec(name);
    if (!m || checked.has(`${m[1]}/${m[3]}`)) continue;
    checked.add(`${m[1]}/${m[3]}`);
    const lost: string[] = [];
    for (let i = 1; i <= Number(m[3]); i++) {
      const part = `${m[1]}-${String(i).padStart(m[2].length, "0")}-of-${m[3]}.safetensors`;
      if (!have.has(part)) lost.push(part);
    }
    if (lost.length) throw missing(lost, `promised by the name ${shown(name)}`);
  }
}

function checkUnique(files: readonly SourceFile[]): void {
  const seen = new Set<string>();
  for (const { name } of files) {
    if (seen.has(name)) throw new QuantError("contradiction", `two files are called ${shown(name)}`, "Choose one model folder only.");
    seen.add(name);
  }
}

/** Finds the shards of a source. Throws missing-file (every missing name listed), contradiction, bad-file, bad-json. */
export async function findShards(source: Source): Promise<ShardSet> {
  const shards = source.files.filter((f) => f.name.endsWith(".safetensors"));
  checkUnique(shards);
  const indexFile = findFile(source, INDEX_NAME);
  if (!indexFile) {
    if (shards.length === 0) throw noShards(source);
    checkSeries(shards);
    return { files: shards };
  }
  const index = await readIndex(indexFile);
  const names = [...new Set(index.values())];
  const byName = new Map(source.files.map((f) => [f.name, f]));
  const lost = names.filter((n) => !byName.has(n));
  if (lost.length) throw missing(lost, `named by ${INDEX_NAME}`);
  // Files the index does not know (an original "consolidated" copy, an adapter) are no part of the checkpoint.
  return { files: names.map((n) => byName.get(n)!), index };
}
