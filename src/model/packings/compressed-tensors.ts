import { unpackBits } from "../../ops/bits";
import {
  bitsIn,
  bitsOf,
  columnsOf,
  floats,
  floatsOf,
  gridTitle,
  groupSizeOf,
  groupsIn,
  type Json,
  type Scheme,
  unsupported,
  wordsOf,
} from "./scheme";

/** "pack-quantized" of compressed-tensors, described in export/formats/compressed-tensors.ts. Which layer has which settings, its tensors' shapes tell. */
export interface CompressedTensorsPacking {
  readonly scheme: "compressed-tensors";
  /** Of all groups of modules. */
  readonly bits: readonly number[];
  readonly groupSizes: readonly number[];
}

export const compressedTensors: Scheme<CompressedTensorsPacking> = {
  parts: ["weight_packed", "weight_scale", "weight_shape", "weight_zero_point"],
  parse(settings) {
    if (settings.quant_method !== "compressed-tensors") return null;
    const groups = Object.values(Object(settings.config_groups)).map((group) => weightsOf(Object(group)));
    if (!groups.length) throw unsupported("it names no config_groups");
    return { scheme: "compressed-tensors", bits: [...new Set(groups.map((g) => g.bits))], groupSizes: groups.map((g) => g.groupSize) };
  },
  title: ({ bits, groupSizes }) => `compressed-tensors ${gridTitle(bits, groupSizes)}`,
  tensors({ bits: allowed }, shards, name, [out, n]) {
    const columns = columnsOf(shards, `${name}.weight_packed`);
    const bits = bitsIn(allowed, `${name}.weight_packed`, columns, n);
    const groups = groupsIn(shards, `${name}.weight_scale`, n);
    return {
      weight_packed: { shape: [out, columns], dtypes: ["I32"] },
      weight_scale: { shape: [out, groups], dtypes: floats },
      weight_shape: { shape: [2], dtypes: ["I64"] },
      // Absent on symmetric grids.
      weight_zero_point: { shape: [Math.ceil((out * bits) / 32), groups], dtypes: ["I32"], optional: true },
    };
  },
  async read({ bits: allowed }, shards, name, shape) {
    const [out, n] = shape;
    const words = await wordsOf(shards, `${name}.weight_packed`);
    const bits = bitsIn(allowed, `${name}.weight_packed`, words.length / out, n);
    const { values: scales, half } = await floatsOf(shards, `${name}.weight_scale`);
    const stored = `${name}.weight_zero_point`;
    const zeros = shards.tensors.has(stored)
      ? zerosOf(await wordsOf(shards, stored), out, scales.length / out, bits)
      : new Uint8Array(scales.length).fill(2 ** (bits - 1));
    return { shape, bits, words, gridKind: "integer-zero", scales, zeros, half };
  },
};

/** The settings of a group of modules. */
function weightsOf({ weights, input_activations: inputs }: Json): { bits: number; groupSize: number } {
  const { num_bits: bits, type, strategy, group_size: size, actorder } = Object(weights) as Json;
  if (type !== "int") throw unsupported(`weights are of the type ${String(type).slice(0, 20)}`);
  if (inputs) throw unsupported("activations are quantized too");
  if (strategy !== "group" && strategy !== "channel") throw unsupported(`strategy is ${String(strategy).slice(0, 20)}`);
  if (actorder === "group" || actorder === true) throw unsupported("groups are in activation order (weight_g_idx)");
  return { bits: bitsOf(bits), groupSize: strategy === "channel" ? -1 : groupSizeOf(size) };
}

/** Zeros [out, G] from words [⌈out·b/32⌉, G], whose bit streams run down the outputs. */
function zerosOf(words: Uint32Array, out: number, groups: number, bits: number): Uint8Array {
  const zeros = new Uint8Array(out * groups);
  const column = new Uint32Array(words.length / groups);
  for (let g = 0; g < groups; g++) {
    for (let w = 0; w < column.length; w++) column[w] = words[w * groups + g];
    const values = unpackBits(column, bits, out);
    for (let o = 0; o < out; o++) zeros[o * groups + g] = values[o];
  }
  return zeros;
}
