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
  shownValue,
  unsupported,
  wordsOf,
} from "./scheme";

/** MLX's affine layout, described in export/formats/mlx.ts. Which layer has which settings, its tensors' shapes tell, as in mlx-lm. */
export interface MlxPacking {
  readonly scheme: "mlx";
  /** Of all modules. */
  readonly bits: readonly number[];
  readonly groupSizes: readonly number[];
}

/** ŵ = scale·code + bias is rounded to f16 once, where MLX rounds scale·code too: the same weights where that product is exact, as in our exports of less than 8 bits. */
export const mlx: Scheme<MlxPacking> = {
  parts: ["weight", "scales", "biases"],
  parse(settings) {
    if (settings.quant_method !== undefined || settings.group_size === undefined) return null;
    const { mode = "affine" } = settings;
    if (mode !== "affine") throw unsupported(`mode is ${shownValue(mode)}`);
    const modules = Object.values(settings).filter((value): value is Json => typeof value === "object" && value !== null);
    const all = [settings, ...modules.filter(({ bits }) => bits !== undefined)];
    return {
      scheme: "mlx",
      bits: [...new Set(all.map(({ bits }) => bitsOf(bits)))],
      groupSizes: all.map(({ group_size: size }) => groupSizeOf(size)),
    };
  },
  title: ({ bits, groupSizes }) => `MLX ${gridTitle(bits, groupSizes)}`,
  tensors({ bits: allowed }, shards, name, [out, n]) {
    const columns = columnsOf(shards, `${name}.weight`);
    bitsIn(allowed, `${name}.weight`, columns, n);
    const groups = groupsIn(shards, `${name}.scales`, n);
    return {
      weight: { shape: [out, columns], dtypes: ["U32"] },
      scales: { shape: [out, groups], dtypes: floats },
      biases: { shape: [out, groups], dtypes: floats },
    };
  },
  async read({ bits: allowed }, shards, name, shape) {
    const [out, n] = shape;
    const words = await wordsOf(shards, `${name}.weight`);
    const bits = bitsIn(allowed, `${name}.weight`, words.length / out, n);
    const { values: scales, half } = await floatsOf(shards, `${name}.scales`);
    const { values: biases } = await floatsOf(shards, `${name}.biases`);
    return { shape, bits, words, gridKind: "real-zero", scales, zeros: biases.map((x) => -x), half };
  },
};
