import { QuantError } from "../errors";
import { isAutoGptq } from "./foreign";

/** GPTQ's packed layout as a config declares it: that of AutoGPTQ and GPTQModel, described in export/formats/gptq.ts. */
export interface Packing {
  bits: 2 | 3 | 4 | 8;
  /** Inputs that share a scale; −1: the whole row. */
  groupSize: number;
  /** What is added to a stored zero: 1 in v1, 0 in v2. */
  zeroOffset: 0 | 1;
}

const supportedPacking = "GPTQ with 2, 3, 4 or 8 bits in int32 words can be opened; for anything else use the original checkpoint.";
const unsupported = (what: string) => new QuantError("unsupported-architecture", `quantization_config: ${what}`, supportedPacking);

/**
 * Reads an untrusted quantization_config; null where there is none. Without a format it is v1, as in every client.
 * @throws QuantError `unsupported-architecture` naming what cannot be read.
 */
export function parsePacking(input: unknown): Packing | null {
  if (input === undefined || input === null) return null;
  if (typeof input !== "object" || Array.isArray(input))
    throw new QuantError("bad-config", "config.json: quantization_config is not an object");
  const config = input as Record<string, unknown>;
  const shown = (value: unknown) => String(value).slice(0, 40);
  const method = config.quant_method;
  if (method !== "gptq" && !isAutoGptq(input)) throw unsupported(`quant_method is ${shown(method)}`);
  const { bits, group_size: groupSize = 128 } = config;
  if (bits !== 2 && bits !== 3 && bits !== 4 && bits !== 8) throw unsupported(`bits is ${shown(bits)}`);
  if (typeof groupSize !== "number" || !Number.isSafeInteger(groupSize) || groupSize === 0 || groupSize < -1)
    throw unsupported(`group_size is ${shown(groupSize)}`);
  if ((config.pack_dtype ?? "int32") !== "int32") throw unsupported(`pack_dtype is ${shown(config.pack_dtype)}`);
  // Rules that only leave layers out ("-:pattern") are read in the files themselves: such a layer has a weight.
  const rules = typeof config.dynamic === "object" && config.dynamic !== null ? Object.entries(config.dynamic) : [];
  const other = rules.find(([pattern, change]) => !pattern.startsWith("-:") && Object.keys(Object(change)).length);
  if (other) throw unsupported(`layers have different settings (dynamic: ${shown(other[0])})`);
  if (isAutoGptq(input) && Object.keys(Object(config.extra_config)).length)
    throw unsupported("layers have different settings (extra_config)");
  const format = config.checkpoint_format ?? config.format ?? "gptq";
  if (format !== "gptq" && format !== "gptq_v2") throw unsupported(`checkpoint_format is ${shown(format)}`);
  return { bits, groupSize, zeroOffset: format === "gptq" ? 1 : 0 };
}

/** For people: "GPTQ 4-bit, groups of 64". */
export function packingTitle({ bits, groupSize, zeroOffset }: Packing): string {
  return `GPTQ ${bits}-bit, ${groupSize < 0 ? "one scale per row" : `groups of ${groupSize}`}${zeroOffset ? "" : ", v2"}`;
}

/** Shapes of a packed [out, in] layer's tensors, by their last name; g_idx may be absent. */
export function packedShapes(
  { bits, groupSize }: Packing,
  [out, n]: readonly [number, number],
): Record<"qweight" | "qzeros" | "scales" | "g_idx", number[]> {
  const groups = groupSize < 0 ? 1 : Math.ceil(n / groupSize);
  return { qweight: [(n * bits) / 32, out], qzeros: [groups, (out * bits) / 32], scales: [groups, out], g_idx: [n] };
}
