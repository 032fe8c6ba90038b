/** What config.json says of the tensors, and whether the folder's other settings agree with it. */
import { asQuantError, QuantError } from "../../errors";
import { readJson } from "../../io/json";
import { findFile } from "../../io/source";
import type { Shards } from "../../io/types";
import { leftoverSettings, refuseForeign } from "../../model/foreign";
import { type Packing, packingTitle, parsePacking } from "../../model/packing";
import { type ModelSpec, parseSpec } from "../../model/spec";
import type { CheckJob } from "../job";

export type Json = Record<string, unknown>;

/** What is known before the tensors are looked at. */
export interface Said {
  readonly config: Json;
  /** Null for an architecture that is not known here. */
  readonly spec: ModelSpec | null;
  readonly packing: Packing | null;
  /** The packing's settings as they stand in config.json. */
  readonly settings: Json;
}

const megabyte = 2 ** 20;

/** config.json; null, with a finding, where there is none that can be read. */
export async function readConfig({ source, findings }: CheckJob): Promise<Json | null> {
  const file = findFile(source, "config.json");
  if (!file) {
    // Weights by themselves are part of a model; other files without it are a model that is not whole.
    const level = source.files.every(({ name }) => name.endsWith(".safetensors")) ? "warning" : "error";
    findings.add(level, "missing-file", withoutConfig, "config.json");
    return null;
  }
  try {
    const json = await readJson(file, megabyte);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
    throw new QuantError("bad-config", "config.json is not a JSON object");
  } catch (cause) {
    findings.failed(cause, "config.json", "config");
    return null;
  }
}

const withoutConfig = "There is no config.json, without which no client loads the weights: only headers and values are checked.";

/** Null, with a finding, where it cannot be told what the tensors are. */
export function interpret(job: CheckJob, config: Json, shards: Shards): Said | null {
  const { findings } = job;
  if (!isKnownKind(job, config, shards)) return null;
  const leftover = leftoverSettings(config, shards);
  if (leftover.length)
    findings.add("warning", "config", "config.json names a quantization that the tensors show no trace of.", leftover.join(", "));
  const used = Object.fromEntries(Object.entries(config).filter(([key]) => !leftover.includes(key)));
  try {
    const packing = parsePacking(used);
    const settings = (used.quantization_config ?? used.quantization ?? {}) as Json;
    const said = { config: used, spec: specOf(job, used), packing, settings };
    job.title = packing ? packingTitle(packing) : "floats";
    return said;
  } catch (cause) {
    findings.failed(cause, "config.json");
    return null;
  }
}

/** Whether the tensors are of a kind that can be unpacked, and their config says which. */
function isKnownKind({ findings }: CheckJob, config: Json, shards: Shards): boolean {
  try {
    refuseForeign(config, shards);
    return true;
  } catch (cause) {
    const { code, where } = asQuantError(cause);
    // Layers that are stored transposed are compared by nobody, but their values can be checked.
    if (code === "unsupported-architecture") return true;
    if (code === "quantized-already" && !config.quantization_config && !config.compression_config)
      findings.add("error", "config", `config.json has no quantization_config, but tensors are packed ${where}.`, "config.json");
    else findings.failed(cause, "config.json", "unreadable");
    return false;
  }
}

/** Null, with a finding, where the architecture is not known or its settings are wrong. */
export function specOf({ findings }: CheckJob, config: Json): ModelSpec | null {
  try {
    return parseSpec(config);
  } catch (cause) {
    const error = asQuantError(cause);
    if (error.code !== "unsupported-architecture") findings.failed(cause, "config.json");
    else
      findings.add(
        "warning",
        "config",
        `Names and shapes are not compared with config.json's, because this architecture is not known here: ${error.where}.`,
        "config.json",
      );
    return null;
  }
}

/** GPTQ's second copy of its settings: clients differ in which of the two they read. */
export async function checkSecondSettings({ source, findings }: CheckJob, { settings, packing }: Said): Promise<void> {
  const file = findFile(source, "quantize_config.json");
  if (!file || packing?.scheme !== "gptq") return;
  try {
    const other = Object((await readJson(file, megabyte)) ?? {}) as Json;
    for (const field of ["bits", "group_size", "desc_act", "sym", "checkpoint_format"])
      if (settings[field] !== undefined && other[field] !== undefined && settings[field] !== other[field])
        findings.join("error", "config", "quantize_config.json and config.json's quantization_config contradict each other.", field);
  } catch (cause) {
    findings.failed(cause, file.name, "config");
  }
}
