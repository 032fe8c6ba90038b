/** The files that make up the checkpoint, and what its index says of them. */
import { QuantError } from "../errors";
import { readJson } from "./json";
import { isPlainName, shown } from "./text";
import type { Source, SourceFile } from "./types";
import { chooseWeights, INDEX_NAME, leftOut, missing } from "./weight-files";

const INDEX_LIMIT = 25_000_000;

export interface ShardSet {
  readonly files: readonly SourceFile[];
  /** Tensor name -> file name, when there is an index. */
  readonly index?: ReadonlyMap<string, string>;
  /** Sentences on what was chosen, where there was a choice. */
  readonly notes: readonly string[];
}

function badIndex(problem: string): QuantError {
  return new QuantError("bad-file", `${INDEX_NAME}: ${problem}`, "Download the index file again.");
}

/** The weight_map of an index. File names must be plain ones, so that a name can never lead out of the folder; "./" is harmless. */
async function readIndex(file: SourceFile): Promise<Map<string, string>> {
  const json = await readJson(file, INDEX_LIMIT);
  const map = typeof json === "object" && json !== null ? (json as { weight_map?: unknown }).weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw badIndex("there is no weight_map object");
  const out = new Map<string, string>();
  for (const [tensor, given] of Object.entries(map)) {
    if (typeof given !== "string") throw badIndex(`${shown(tensor)} has no file name`);
    const name = given.replace(/^(\.\/)+/, "");
    if (!isPlainName(name)) throw badIndex(`${shown(tensor)} is said to be in "${shown(given)}", which is not a plain file name`);
    out.set(tensor, name);
  }
  if (out.size === 0) throw badIndex("weight_map is empty");
  return out;
}

/** Two files of one name come from two folders, and we cannot know which is meant. */
function checkUnique(files: readonly SourceFile[]): void {
  const seen = new Set<string>();
  for (const { name } of files.filter((f) => /\.safetensors(\.index\.json)?$/.test(f.name))) {
    if (seen.has(name)) throw new QuantError("contradiction", `two files are called ${shown(name)}`, "Choose one model folder only.");
    seen.add(name);
  }
}

/**
 * Finds the shards of a source. @param named the weights that config.json names, if it does.
 * @throws QuantError missing-file (every missing name listed), contradiction, bad-file, bad-json.
 */
export async function findShards(source: Source, named?: string): Promise<ShardSet> {
  checkUnique(source.files);
  const choice = chooseWeights(source, named);
  if (choice.kind === "files") return { files: choice.files, notes: leftOut(source, choice.files, choice.read) };
  const index = await readIndex(choice.index);
  const byName = new Map(source.files.map((f) => [f.name, f]));
  const names = [...new Set(index.values())];
  const lost = names.filter((n) => !byName.has(n));
  if (lost.length) throw missing(lost, `named by ${choice.index.name}`);
  const files = names.map((n) => byName.get(n)!);
  const read =
    files.length === 1 ? `the file that ${choice.index.name} names` : `the ${files.length} files that ${choice.index.name} names`;
  return { files, index, notes: leftOut(source, files, read) };
}
