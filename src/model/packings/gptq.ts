import { QuantError } from "../../errors";
import type { Shards } from "../../io/types";
import { unpackBits } from "../../ops/bits";
import { isAutoGptq } from "../foreign";
import {
  bitsOf,
  floats,
  floatsOf,
  gridTitle,
  groupSizeOf,
  type Json,
  type Scheme,
  shownValue,
  transpose,
  unsupported,
  wordsOf,
} from "./scheme";

/** GPTQ's packed layout as a config declares it: that of AutoGPTQ and GPTQModel, described in export/formats/gptq.ts. */
export interface GptqPacking {
  readonly scheme: "gptq";
  readonly bits: number;
  /** Inputs that share a scale; −1: the whole row. */
  readonly groupSize: number;
  /** What is added to a stored zero: 1 in v1, 0 in v2. */
  readonly zeroOffset: 0 | 1;
}

/** Inputs are grouped as g_idx says, where it is there. */
export const gptq: Scheme<GptqPacking> = {
  parts: ["qweight", "qzeros", "scales", "g_idx"],
  parse(settings) {
    if (settings.quant_method !== "gptq" && !isAutoGptq(settings)) return null;
    const { bits, group_size: groupSize = 128 } = settings;
    if ((settings.pack_dtype ?? "int32") !== "int32") throw unsupported(`pack_dtype is ${shownValue(settings.pack_dtype)}`);
    checkUniform(settings);
    // Without a format it is v1, as in every client.
    const format = settings.checkpoint_format ?? settings.format ?? "gptq";
    if (format !== "gptq" && format !== "gptq_v2") throw unsupported(`checkpoint_format is ${shownValue(format)}`);
    return { scheme: "gptq", bits: bitsOf(bits), groupSize: groupSizeOf(groupSize), zeroOffset: format === "gptq" ? 1 : 0 };
  },
  title: ({ bits, groupSize, zeroOffset }) => `GPTQ ${gridTitle([bits], [groupSize])}${zeroOffset ? "" : ", v2"}`,
  tensors({ bits, groupSize }, _, __, [out, n]) {
    const groups = groupSize < 0 ? 1 : Math.ceil(n / groupSize);
    return {
      qweight: { shape: [(n * bits) / 32, out], dtypes: ["I32"] },
      qzeros: { shape: [groups, (out * bits) / 32], dtypes: ["I32"] },
      scales: { shape: [groups, out], dtypes: floats },
      // Old exports leave g_idx out where it is trivial.
      g_idx: { shape: [n], dtypes: ["I32"], optional: true },
    };
  },
  async read(packing, shards, name, shape) {
    const [out, n] = shape;
    const { bits } = packing;
    const codes = transpose(await wordsOf(shards, `${name}.qweight`), (n * bits) / 32, out);
    const { values, half } = await floatsOf(shards, `${name}.scales`);
    const groups = values.length / out;
    const zeros = zerosOf(await wordsOf(shards, `${name}.qzeros`), out, groups, packing);
    const groupOf = await groupIndexOf(shards, name, n, groups);
    return { shape, bits, words: codes, gridKind: "integer-zero", scales: transpose(values, groups, out), zeros, groupOf, half };
  },
};

/** @throws QuantError where layers have settings of their own. Rules that only leave layers out ("-:pattern") are read in the files: such a layer has a weight. */
function checkUniform(settings: Json): void {
  const rules = typeof settings.dynamic === "object" && settings.dynamic !== null ? Object.entries(settings.dynamic) : [];
  const other = rules.find(([pattern, change]) => !pattern.startsWith("-:") && Object.keys(Object(change)).length);
  if (other) throw unsupported(`layers have different settings (dynamic: ${shownValue(other[0])})`);
  if (isAutoGptq(settings) && Object.keys(Object(settings.extra_config)).length)
    throw unsupported("layers have different settings (extra_config)");
}

/** Zeros [out, G] from qzeros, where v1 stores each minus one modulo 2^bits: a zero of 0 as the largest code. */
function zerosOf(qzeros: Uint32Array, out: number, groups: number, { bits, zeroOffset }: GptqPacking): Uint8Array {
  const perRow = qzeros.length / groups;
  const zeros = new Uint8Array(out * groups);
  for (let g = 0; g < groups; g++) {
    const row = unpackBits(qzeros.subarray(g * perRow, (g + 1) * perRow), bits, out);
    for (let o = 0; o < out; o++) zeros[o * groups + g] = (row[o] + zeroOffset) % 2 ** bits;
  }
  return zeros;
}

/** The group of each input, from g_idx; undefined where groups are equal runs of inputs in order. */
async function groupIndexOf(shards: Shards, name: string, n: number, groups: number): Promise<Uint32Array | undefined> {
  if (!shards.tensors.has(`${name}.g_idx`)) return undefined;
  const index = await wordsOf(shards, `${name}.g_idx`);
  const bad = index.findIndex((g) => g >= groups);
  if (bad >= 0)
    throw new QuantError(
      "contradiction",
      `${name}.g_idx names group ${index[bad]} at position ${bad}, but there are only ${groups} groups`,
      "The checkpoint is damaged: download it again.",
    );
  return index.every((g, i) => g === Math.floor((i * groups) / n)) ? undefined : index;
}
