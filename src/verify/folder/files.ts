/** The weight files of a folder, each opened by itself, so that every damaged one is named. */
import { readHeader } from "../../io/header";
import { findShards, type ShardSet } from "../../io/shard-set";
import { addTensors, type Placed, shardsOf } from "../../io/shards";
import { findFile } from "../../io/source";
import type { Shards } from "../../io/types";
import type { CheckJob } from "../job";

/** The tensors of every file whose header is sound; null, with a finding, where there is none. @param named the weights that config.json names. */
export async function openFiles(job: CheckJob, named?: string): Promise<Shards | null> {
  const { findings } = job;
  const set = await shardSet(job, named);
  if (!set) return null;
  const tensors = new Map<string, Placed>();
  for (const file of set.files) {
    try {
      addTensors(tensors, file, (await readHeader(file)).tensors);
    } catch (cause) {
      findings.failed(cause, file.name);
    }
  }
  for (const note of set.notes) findings.add("ok", "opened", note);
  for (const [name, file] of set.index ?? [])
    if (!tensors.has(name))
      findings.join("error", "missing-tensor", "The index names tensors that no sound file holds.", `${name} (${file})`);
  if (!tensors.size) return null;
  return shardsOf(tensors, set.notes);
}

async function shardSet({ source, findings }: CheckJob, named?: string): Promise<ShardSet | null> {
  try {
    return await findShards(source, named);
  } catch (cause) {
    findings.failed(cause, source.label);
    return null;
  }
}

/** Without one a client cannot turn text into tokens. */
export function checkTokenizerFiles({ source, findings }: CheckJob): void {
  const has = (name: string) => findFile(source, name) !== undefined;
  const any = ["tokenizer.json", "tokenizer.model", "tiktoken.model", "tekken.json"].some(has) || (has("vocab.json") && has("merges.txt"));
  if (!any)
    findings.add("warning", "tokenizer", "There is no tokenizer: clients need it beside the weights to read text.", "tokenizer.json");
  else if (!has("tokenizer_config.json"))
    findings.add(
      "warning",
      "tokenizer",
      "There is no tokenizer_config.json: special tokens and chat template are lost.",
      "tokenizer_config.json",
    );
}
