/** A GGUF file's metadata: what llama.cpp needs, and whether it agrees with the tensors. */
import { asQuantError } from "../../errors";
import type { ReadValue } from "../../export/gguf/header-reader";
import { type ModelSpec, mostBlocks } from "../../model/spec";
import { architectures, type Keys, neededKeys, type Shapes, specOf, vocabularyTensor } from "../../reopen/gguf/network";
import type { AnyTensor } from "../../reopen/gguf/parts";
import { ropeScalingOf } from "../../reopen/gguf/rope";
import type { CheckJob } from "../job";
import type { Network } from "../network";

/** What keys of an architecture are called. */
export const keyNames = (id: string): Network["names"] => ({
  blocks: `${id}.block_count`,
  hidden: `${id}.embedding_length`,
  intermediate: `${id}.feed_forward_length`,
  heads: `${id}.attention.head_count`,
  kvHeads: `${id}.attention.head_count_kv`,
  headDim: `${id}.attention.key_length`,
  eps: `${id}.attention.layer_norm_rms_epsilon`,
  qkNorm: "general.architecture",
  biases: "blk.*.bias",
  vocabulary: vocabularyTensor,
  rope: `${id}.rope.freq_base, ${id}.rope.scaling.*, rope_freqs.weight`,
  windows: `${id}.context_length`,
  head: "output.weight",
});

/**
 * What the keys say of the network; null where the architecture is not known here, or keys are missing.
 * @param divisors the tensor rope_freqs.
 */
export async function networkOf(job: CheckJob, keys: Keys, shapes: Shapes, divisors: AnyTensor | undefined): Promise<ModelSpec | null> {
  const spec = plainNetworkOf(job, keys, shapes);
  if (!spec) return null;
  try {
    return { ...spec, ropeScaling: await ropeScalingOf(keys, spec, divisors) };
  } catch (cause) {
    const { code, where } = asQuantError(cause);
    if (code === "unsupported-architecture")
      job.findings.add("warning", "config", `It is not checked here: ${where}.`, "rope.scaling.type");
    else job.findings.failed(cause, "rope.scaling", "config");
    return spec;
  }
}

function plainNetworkOf({ findings }: CheckJob, keys: Keys, shapes: Shapes): ModelSpec | null {
  const id = keys.get("general.architecture");
  if (typeof id !== "string") {
    findings.join("error", "gguf-keys", "llama.cpp does not load a file without these keys.", "general.architecture");
    return null;
  }
  const isExperts = [...shapes.keys()].some((name) => name.includes("_exps."));
  if (!Object.hasOwn(architectures, id) || isExperts) {
    findings.add(
      "warning",
      "config",
      "Names and shapes are not compared with the metadata, because this architecture is not known here.",
      isExperts ? `${id} with experts` : id,
    );
    return null;
  }
  const missing = neededKeys.filter((key) => typeof keys.get(`${id}.${key}`) !== "number");
  for (const key of missing) findings.join("error", "gguf-keys", "llama.cpp does not load a file without these keys.", `${id}.${key}`);
  if (missing.length) return null;
  const spec = specOf(id, keys, shapes);
  if (Number.isSafeInteger(spec.blocks) && spec.blocks <= mostBlocks) return spec;
  findings.add("error", "config", `It is ${spec.blocks}.`, `${id}.block_count`);
  return null;
}

const isIds = (value: ReadValue | undefined): value is readonly ReadValue[] & readonly number[] => Array.isArray(value);

/** The tokenizer lies in the file: without it, or parts of it, llama.cpp does not load the file, or cuts texts otherwise than the model was trained on. */
export function checkTokenizerKeys({ findings }: CheckJob, keys: Keys, shapes: Shapes): void {
  const at = (name: string) => keys.get(`tokenizer.ggml.${name}`);
  const missing = (level: "warning" | "error", name: string, what: string) =>
    findings.join(level, "gguf-keys", what, `tokenizer.ggml.${name}`);
  const model = at("model");
  const needs = ["model", "tokens", ...(model === "gpt2" ? ["merges"] : []), ...(model === "llama" ? ["scores", "token_type"] : [])];
  for (const name of needs)
    if (at(name) === undefined) missing("error", name, "The tokenizer's keys are missing: llama.cpp does not load the file.");
  if (model === "gpt2" && at("pre") === undefined)
    missing(
      "error",
      "pre",
      "It is not said how texts are cut into words: llama.cpp takes a default, and the model gets other tokens than it was trained on.",
    );
  for (const name of ["bos_token_id", "eos_token_id"])
    if (at(name) === undefined && !(name === "bos_token_id" && model === "gpt2"))
      missing("warning", name, "Special tokens are missing: llama.cpp guesses them.");
  if (keys.get("tokenizer.chat_template") === undefined)
    findings.add(
      "warning",
      "gguf-keys",
      "There is no chat template: clients fall back to one of their own, or do not chat.",
      "tokenizer.chat_template",
    );
  checkCounts(findings, keys, shapes);
}

function checkCounts(findings: CheckJob["findings"], keys: Keys, shapes: Shapes): void {
  const tokens = keys.get("tokenizer.ggml.tokens");
  if (!isIds(tokens)) return;
  const rows = shapes.get(vocabularyTensor)?.[0];
  if (rows !== undefined && rows !== tokens.length)
    findings.add("error", "config", `There are ${tokens.length} tokens for ${rows} rows of embeddings.`, "tokenizer.ggml.tokens");
  for (const name of ["scores", "token_type"]) {
    const list = keys.get(`tokenizer.ggml.${name}`);
    if (isIds(list) && list.length !== tokens.length)
      findings.add("error", "config", `There are ${list.length} of them for ${tokens.length} tokens.`, `tokenizer.ggml.${name}`);
  }
  for (const name of ["bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id"]) {
    const id = keys.get(`tokenizer.ggml.${name}`);
    if (typeof id === "number" && (id < 0 || id >= tokens.length))
      findings.add("error", "config", `It is ${id}, but there are only ${tokens.length} tokens.`, `tokenizer.ggml.${name}`);
  }
}
