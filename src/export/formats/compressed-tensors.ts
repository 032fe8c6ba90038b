import { toF16Words } from "../../io/dtype";
import { packBits } from "../../ops/bits";
import type { PackedLayer } from "../../quant/coded";
import { groupsOf, type LayerPlan } from "../../quant/layer-plan";
import type { Recipe } from "../../recipe/recipe";
import { safetensors } from "../containers/safetensors";
import { sameGrids, type Target } from "./by-module";
import type { ExportJob, Format } from "./format";
import { inSourceOrder, type LayerEntry, onGrid, type RoundedPlan, withDtype } from "./source-order";

/**
 * The layout "pack-quantized" of compressed-tensors, from 0.18 on: weight_packed I32 [out, ⌈in·b/32⌉], the bit stream along each row; weight_scale F16 [out, G];
 * weight_shape I64 [2]; and on asymmetric grids weight_zero_point I32 [⌈out·b/32⌉, G], the bit stream along the outputs. Its codes are signed, with 2^(b−1) added,
 * which are ours; so are its zeros.
 */
export const compressedTensors: Format = {
  packed: true,
  accepts: (kind) => kind === "integer-zero",
  entries: (job) => inSourceOrder(job, layerEntries),
  container: async () => safetensors,
  files: (job) => ({ "config.json": { ...withDtype(job.model.config, "float16"), quantization_config: settings(job) } }),
  check: () => {},
  bitsPerWeight: ({ shape, grid }) => grid.bits + (groupsOf(shape, grid) * (grid.symmetric ? 16 : 16 + grid.bits)) / shape[1],
  notes,
};

function layerEntries({ name, shape, grid }: RoundedPlan): LayerEntry[] {
  const [out, n] = shape;
  const { bits, symmetric } = grid;
  const groups = groupsOf(shape, grid);
  const entry = (part: string, dtype: string, shape: number[], bytes: (layer: PackedLayer) => Uint8Array): LayerEntry => ({
    spec: { name: `${name}.weight_${part}`, dtype, shape },
    bytes: (layer) => [bytes(onGrid(layer, "integer-zero"))],
  });
  return [
    entry(
      "packed",
      "I32",
      [out, Math.ceil((n * bits) / 32)],
      ({ words }) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength),
    ),
    entry("scale", "F16", [out, groups], ({ scales }) => new Uint8Array(toF16Words(scales).buffer)),
    entry("shape", "I64", [2], () => new Uint8Array(BigInt64Array.of(BigInt(out), BigInt(n)).buffer)),
    ...(symmetric ? [] : [entry("zero_point", "I32", [Math.ceil((out * bits) / 32), groups], zeros)]),
  ];
}

function zeros({ zeros, scales, shape: [out], bits }: PackedLayer): Uint8Array {
  const groups = scales.length / out;
  const column = new Uint8Array(out);
  const all = new Uint32Array(Math.ceil((out * bits) / 32) * groups);
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < out; o++) column[o] = zeros[o * groups + g];
    const words = packBits(column, bits);
    for (let w = 0; w < words.length; w++) all[w * groups + g] = words[w];
  }
  return new Uint8Array(all.buffer);
}

/** quantization_config: one group of modules for each bit width and group size; blocks that stay floats, and the head, are to be ignored. */
function settings({ plan: { layers, blocks, quantizedBlocks } }: ExportJob): Record<string, unknown> {
  const grids = sameGrids(layers);
  const groups = grids.map(({ layers: [first], targets }, at): [string, unknown] => [
    `group_${at}`,
    { targets: grids.length > 1 ? targets.map(patternOf) : ["Linear"], weights: weightsOf(first) },
  ]);
  const floats = Array.from({ length: blocks - quantizedBlocks }, (_, at) => `re:model\\.layers\\.${quantizedBlocks + at}\\.`);
  return {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    quantization_status: "compressed",
    config_groups: Object.fromEntries(groups),
    ignore: ["lm_head", ...floats],
  };
}

const patternOf = (target: Target): string => ("kind" in target ? `re:.*\\.${target.kind}$` : target.name);

const weightsOf = ({ grid: { bits, groupSize, symmetric } }: LayerPlan) => ({
  num_bits: bits,
  type: "int",
  symmetric,
  strategy: groupSize < 0 ? "channel" : "group",
  group_size: groupSize < 0 ? null : groupSize,
});

function notes({ bits, groupSize, symmetric, rules }: Recipe): string[] {
  const widths = new Set([bits, ...rules.map((rule) => rule.bits ?? bits)]);
  const isMixed = widths.size > 1 || rules.some((rule) => (rule.groupSize ?? groupSize) !== groupSize);
  const least = widths.has(3) ? ["3 bits need compressed-tensors 0.18 or newer: older ones read other weights."] : [];
  const vllm = "Going by its source code, vLLM loads it too (not tested here).";
  if (symmetric) return ["Loads in transformers with the package compressed-tensors.", ...least, vllm];
  return isMixed
    ? ["transformers 5.23 cannot load asymmetric layers with several bit widths or group sizes: choose Symmetric for it.", ...least, vllm]
    : ["Asymmetric: transformers 5.23 loads it only with quantization_config=CompressedTensorsConfig(dequantize=True).", ...least, vllm];
}
