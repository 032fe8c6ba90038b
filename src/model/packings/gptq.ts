import { QuantError } from "../../errors";
import type { Shards } from "../../io/types";
import { unpackBits } from "../../ops/bits";
import { isAutoGptq } from "../foreign";
import {
  bitsIn,
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
  /** Of all layers; which has which, its tensors' shapes tell. */
  readonly bits: readonly number[];
  /** Inputs that share a scale; −1: the whole row. */
  readonly groupSizes: readonly number[];
  /** What is added to a stored zero: 1 in v1, 0 in v2. */
  readonly zeroOffset: 0 | 1;
}

/** Inputs are grouped as g_idx says, where it is there. */
export const gptq: Scheme<GptqPacking> = {
  parts: ["qweight", "qzeros", "scales", "g_idx"],
  parse(settings) {
    if (settings.quant_method !== "gptq" && !isAutoGptq(settings)) return null;
    if ((settings.pack_dtype ?? "int32") !== "int32") throw unsupported(`pack_dtype is ${shownValue(settings.pack_dtype)}`);
    const all = settingsOf(settings);
    // Without a format it is v1, as in every client.
    const format = settings.checkpoint_format ?? settings.format ?? "gptq";
    if (format !== "gptq" && format !== "gptq_v2") throw unsupported(`checkpoint_format is ${shownValue(format)}`);
    return {
      scheme: "gptq",
      bits: [...new Set(all.map((layers) => bitsOf(layers.bits)))],
      groupSizes: [...new Set(all.map((layers) => groupSizeOf(layers.group_size)))],
      zeroOffset: format === "gptq" ? 1 : 0,
    };
  },
  title: ({ bits, groupSizes, zeroOffset }) => `GPTQ ${gridTitle(bits, groupSizes)}${zeroOffset ? "" : ", v2"}`,
  tensors(packing, shards, name, [out, n]) {
    const bits = bitsAt(packing, shards, name, n);
    const found = shards.tensors.get(`${name}.scales`)?.shape[0];
    const counts = packing.groupSizes.map((size) => groupCount(size, n));
    const groups = counts.find((count) => count === found) ?? counts[0];
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
    const bits = bitsAt(packing, shards, name, n);
    const codes = transpose(await wordsOf(shards, `${name}.qweight`), (n * bits) / 32, out);
    const { values, half } = await floatsOf(shards, `${name}.scales`);
    const groups = values.length / out;
    const zeros = zerosOf(await wordsOf(shards, `${name}.qzeros`), out, groups, { bits, zeroOffset: packing.zeroOffset });
    const groupOf = await groupIndexOf(shards, name, n, groups);
    return { shape, bits, words: codes, gridKind: "integer-zero", scales: transpose(values, groups, out), zeros, groupOf, half };
  },
};

export const groupCount = (groupSize: number, n: number): number => (groupSize < 0 ? 1 : Math.ceil(n / groupSize));

/** @throws QuantError `wrong-shape`. */
export const bitsAt = ({ bits }: GptqPacking, { tensors }: Shards, name: string, n: number): number =>
  bits.length === 1 ? bits[0] : bitsIn(bits, `${name}.qweight`, tensors.get(`${name}.qweight`)?.shape[0] ?? 0, n);

/**
 * The settings that a layer may have: those of all, and those of GPTQModel's `dynamic` and AutoRound's `extra_config`. Their patterns are not run: a layer's
 * tensors tell what it has, and one that was left out ("-:pattern", 16 bits) has a weight.
 * @throws QuantError where some are laid out in another way.
 */
function settingsOf(settings: Json): Json[] {
  const all: Json = { group_size: 128, data_type: "int", ...settings };
  const dynamic = Object.entries(Object(settings.dynamic)).filter(([pattern, change]) => change !== false && !pattern.startsWith("-:"));
  const extra = isAutoGptq(settings) ? Object.entries(Object(settings.extra_config)) : [];
  const others = [...dynamic, ...extra].map(([pattern, change]): [string, Json] => [pattern, Object(change)]);
  for (const [pattern, change] of others)
    for (const field of ["quant_method", "method", "format", "checkpoint_format", "pack_dtype", "data_type"])
      if (change[field] !== undefined && change[field] !== all[field] && !isFloats(change))
        throw unsupported(`layers are packed in different ways (${shownValue(pattern)}: ${field} is ${shownValue(change[field])})`);
  return [
    all,
    ...others
      .filter(([, change]) => !isFloats(change))
      .map(([, { bits = all.bits, group_size = all.group_size }]) => ({ bits, group_size })),
  ];
}

const isFloats = ({ bits }: Json) => typeof bits === "number" && bits >= 16;

/** Zeros [out, G] from qzeros, where v1 stores each minus one modulo 2^bits: a zero of 0 as the largest code. */
function zerosOf(qzeros: Uint32Array, out: number, groups: number, { bits, zeroOffset }: { bits: number; zeroOffset: number }): Uint8Array {
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
