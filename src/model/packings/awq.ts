import { floats, floatsOf, gridTitle, groupSizeOf, type Scheme, shownValue, transpose, unsupported, wordsOf } from "./scheme";

/** AutoAWQ's layout GEMM, described in export/formats/awq.ts. Always 4 bits. */
export interface AwqPacking {
  readonly scheme: "awq";
  /** Inputs that share a scale; −1: the whole row. */
  readonly groupSize: number;
}

/** Which nibble of a word, lowest first, holds output 8c, 8c + 1, … 8c + 7. */
const nibbles = [0, 4, 1, 5, 2, 6, 3, 7];

export const awq: Scheme<AwqPacking> = {
  parts: ["qweight", "qzeros", "scales"],
  parse(settings) {
    if (settings.quant_method !== "awq") return null;
    if (settings.bits !== 4) throw unsupported(`AWQ with ${shownValue(settings.bits)} bits`);
    return { scheme: "awq", groupSize: groupSizeOf(settings.group_size ?? 128) };
  },
  title: ({ groupSize }) => `AWQ ${gridTitle([4], [groupSize])}`,
  tensors({ groupSize }, _, __, [out, n]) {
    const groups = groupSize < 0 ? 1 : n / groupSize;
    return {
      qweight: { shape: [n, out / 8], dtypes: ["I32"] },
      qzeros: { shape: [groups, out / 8], dtypes: ["I32"] },
      scales: { shape: [groups, out], dtypes: floats },
    };
  },
  async read(_, shards, name, shape) {
    const [out, n] = shape;
    const words = codesOf(await wordsOf(shards, `${name}.qweight`), out, n);
    const { values, half } = await floatsOf(shards, `${name}.scales`);
    const groups = values.length / out;
    const zeros = zerosOf(await wordsOf(shards, `${name}.qzeros`), out, groups);
    return { shape, bits: 4, words, gridKind: "integer-zero", scales: transpose(values, groups, out), zeros, half };
  },
};

/** Words of eight inputs, row after row [out, ⌈in/8⌉], from words of eight outputs [in, out/8]. */
function codesOf(qweight: Uint32Array, out: number, n: number): Uint32Array {
  const perRow = Math.ceil(n / 8);
  const words = new Uint32Array(out * perRow);
  for (let i = 0; i < n; i++)
    for (let o = 0; o < out; o++) {
      const code = (qweight[(i * out + o) >> 3] >>> (4 * nibbles[o & 7])) & 15;
      words[o * perRow + (i >> 3)] |= code << (4 * (i & 7));
    }
  return words;
}

function zerosOf(qzeros: Uint32Array, out: number, groups: number): Uint8Array {
  const zeros = new Uint8Array(out * groups);
  for (let g = 0; g < groups; g++)
    for (let o = 0; o < out; o++) zeros[o * groups + g] = (qzeros[(g * out + o) >> 3] >>> (4 * nibbles[o & 7])) & 15;
  return zeros;
}
