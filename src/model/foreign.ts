/** Checkpoints in a form that cannot be read here. Each is recognised, so that the refusal can name what it is. */
import { QuantError } from "../errors";
import { shown } from "../io/text";
import type { Shards } from "../io/types";
import { architectureName } from "./families";

type Json = Record<string, unknown>;

const original = "Quantizing it again would only add error: use the original checkpoint.";

/** Tensor names that give away what quantized a checkpoint. */
const byTensor: readonly [RegExp, string][] = [
  [/\.(absmax|quant_map|nested_absmax|SCB)$|\.quant_state\./, "bitsandbytes"],
  [/\.weight_packed$/, "compressed-tensors"],
  [/\.weight_scale(_inv)?$|\.input_scale$/, "FP8 or another scaled format"],
  [/\.q_weight$|\.q_scale_max$/, "EXL2"],
  [/\.W_q$|\.qmeta$/, "HQQ"],
  [/\.qweight$/, "GPTQ or AWQ"],
];

const titlesByMethod: Readonly<Record<string, string>> = {
  awq: "AWQ",
  "auto-round": "AutoRound",
  bitsandbytes: "bitsandbytes",
  "compressed-tensors": "compressed-tensors",
  fp8: "FP8",
  fbgemm_fp8: "FP8",
  hqq: "HQQ",
  exl2: "EXL2",
  mxfp4: "MXFP4",
  quanto: "Quanto",
  torchao: "torchao",
};

/** Prefixes that a wrapper leaves in every tensor's name. */
const byPrefix: readonly [string, string][] = [
  ["_orig_mod.", "torch.compile"],
  ["module.", "DataParallel or DDP"],
  ["_forward_module.", "a training wrapper"],
];

/** Families whose linear layers are stored [in, out] (GPT-2's Conv1D). */
const transposedArchitectures: readonly string[] = ["gpt2", "openai-gpt", "imagegpt", "decision_transformer"];

/** What quantized the checkpoint; null where nothing did, or where its config says that it is something that can be read. */
function quantizedBy(config: Json, { tensors }: Shards): { by: string; where: string } | null {
  const settings = (config.quantization_config ?? config.compression_config) as Json | null | undefined;
  const method = typeof settings === "object" && settings !== null ? String(settings.quant_method ?? settings.format ?? "") : "";
  if (settings && config.quantization_config && isReadable(settings, method)) return null;
  const names = [...tensors.keys()];
  const said = method ? (titlesByMethod[method] ?? (config.compression_config ? "compressed-tensors" : shown(method))) : undefined;
  for (const [pattern, by] of byTensor) {
    const name = names.find((n) => pattern.test(n));
    if (name) return { by: said ?? by, where: shown(name) };
  }
  const eight = [...tensors.values()].find((t) => t.shape.length === 2 && /^F8_/.test(t.dtype) && /proj\.weight$/.test(t.name));
  return eight ? { by: said ?? "FP8", where: `${shown(eight.name)} is ${eight.dtype}` } : null;
}

/** What packings/ reads, or refuses for what it finds within. */
function isReadable(settings: Json, method: string): boolean {
  if (method === "awq") return /^gemm$/i.test(String(settings.version ?? settings.format ?? "gemm"));
  if (method === "compressed-tensors") return settings.format === "pack-quantized";
  return method === "gptq" || isAutoGptq(settings);
}

/** Whether a quantization_config is AutoRound's for GPTQ's layout, which it writes under its own name. */
export const isAutoGptq = (settings: unknown): settings is Json =>
  typeof settings === "object" &&
  settings !== null &&
  (settings as Json).quant_method === "auto-round" &&
  /^auto_round:(auto_)?gptq$/.test(String((settings as Json).packing_format));

/**
 * Refuses a checkpoint that is quantized in a way that cannot be read, a LoRA adapter, tensor names that a wrapper changed, and transposed layers.
 * @throws QuantError quantized-already, missing-file, contradiction, unsupported-architecture.
 */
export function refuseForeign(config: Json, shards: Shards): void {
  const names = [...shards.tensors.keys()];
  const lora = names.find((name) => /\.lora_[AB]\b/.test(name));
  if (lora)
    throw new QuantError(
      "missing-file",
      `${shown(lora)} belongs to a LoRA adapter, and there are no weights of a whole model`,
      "Merge it into its base model first (peft: merge_and_unload).",
    );
  for (const [prefix, by] of byPrefix)
    if (names.length && names.every((name) => name.startsWith(prefix)))
      throw new QuantError(
        "contradiction",
        `every tensor's name begins with "${prefix}", which ${by} puts before it`,
        "Save the unwrapped model again, or take the prefix off the names.",
      );
  const quantized = quantizedBy(config, shards);
  if (quantized) throw new QuantError("quantized-already", `by ${quantized.by} (${quantized.where})`, original);
  if (transposedArchitectures.includes(String(config.model_type)))
    throw new QuantError(
      "unsupported-architecture",
      `${shown(architectureName(config))} stores its linear layers transposed (Conv1D), which cannot be read here, so it cannot be rounded either`,
      "Choose a model of another family.",
    );
}

/** The config.json fields with quantization settings of which the weights show no trace (merged or dequantized models keep them by mistake). */
export function leftoverSettings(config: Json, { tensors }: Shards): string[] {
  const fields = ["quantization_config", "compression_config", "quantization"].filter(
    (name) => config[name] !== undefined && config[name] !== null,
  );
  if (!fields.length) return [];
  const packed = [...tensors.values()].some(
    (t) => /^[UI](8|16|32)$|^F8/.test(t.dtype) || byTensor.some(([pattern]) => pattern.test(t.name)),
  );
  return packed ? [] : fields;
}
