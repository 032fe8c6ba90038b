import { QuantError } from "../../errors";
import { isBeyondF16, toF16Words } from "../../io/dtype";
import { ownTensors } from "../../model/checkpoint";
import { pointOf } from "../../ops/grid-kinds";
import type { Beyond, PackedLayer } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { Recipe } from "../../recipe/recipe";
import { mlxSafetensors } from "../containers/safetensors";
import type { ExportJob, Format } from "./format";
import { mlxConfig, mlxLimits } from "./mlx-config";
import { inSourceOrder, type LayerEntry, packedOf, type RoundedPlan } from "./source-order";

/**
 * MLX's affine layout (mlx.core.quantize): weight U32 [out, in·b/32], the bit stream along each row; scales and biases F16 [out, in/g], ŵ = scale·code + bias,
 * so that biases = −M, in groups of 32, 64 or 128; one scale a row is repeated. Everything else is f16 too, because MLX computes in f32 where dtypes meet.
 *
 * MLX rounds scale·code to f16 before it adds the bias. The grid's scales are short enough for that product to be exact (recipe/formats.ts), so that MLX's
 * weights are ours, but for 8 bits.
 */
export const mlx: Format = {
  packed: true,
  library: "mlx",
  othersIn: () => "f16",
  accepts: (kind) => kind === "integer-zero" || kind === "real-zero",
  beyondF16: productBeyondF16,
  // Scale and bias in f16; where MLX has no such groups, `check` says so.
  bitsPerWeight: (layer) => layer.grid.bits + 32 / (groupIn(layer) ?? layer.shape[1]),
  entries: (job) => inSourceOrder(job, mlxEntries, "F16", strayIn(job)),
  container: async () => mlxSafetensors,
  files: ({ model, plan: { recipe, layers } }) => {
    const quantization = settings(recipe, layers);
    return { "config.json": { ...mlxConfig(model), quantization, quantization_config: quantization } };
  },
  check,
  notes: (recipe, model) => [...notes(recipe), ...mlxLimits(model)],
};

const groupSizes = [128, 64, 32];

/** Inputs that share a scale in the file; undefined where MLX has no such groups. */
const groupIn = ({ shape: [, n], grid: { groupSize } }: RoundedPlan): number | undefined =>
  groupSizes.find((size) => (groupSize < 0 ? n % size === 0 : size === groupSize));

function mlxEntries(layer: RoundedPlan): LayerEntry[] {
  const { name, shape, grid } = layer;
  const [out, n] = shape;
  const size = groupIn(layer)!;
  const perGroup = grid.groupSize < 0 ? n / size : 1;
  const entry = (part: string, dtype: string, columns: number, bytes: (layer: PackedLayer) => Uint8Array): LayerEntry => ({
    spec: { name: `${name}.${part}`, dtype, shape: [out, columns] },
    bytes: (coded) => [bytes(packedOf(coded))],
  });
  return [
    entry("weight", "U32", (n * grid.bits) / 32, ({ words }) => new Uint8Array(words.buffer, words.byteOffset, words.byteLength)),
    entry("scales", "F16", n / size, ({ scales }) => repeated(scales, perGroup)),
    entry("biases", "F16", n / size, (coded) => repeated(biasesOf(coded), perGroup)),
  ];
}

/** −M of each group: where code 0 stands. */
const biasesOf = ({ gridKind, scales, zeros }: PackedLayer): Float32Array => scales.map((s, at) => pointOf(gridKind, s, zeros[at], 0));

/** As f16, each so many times. */
function repeated(values: Float32Array, times: number): Uint8Array {
  const words = toF16Words(values);
  const all = new Uint16Array(words.length * times);
  for (let i = 0; i < words.length; i++) all.fill(words[i], i * times, (i + 1) * times);
  return new Uint8Array(all.buffer);
}

/** MLX computes scale·code and adds the bias in f16: both must fit, though their sum does. */
function productBeyondF16(layer: PackedLayer): Beyond | null {
  const { scales, shape, bits } = layer;
  const biases = biasesOf(layer);
  const size = (shape[0] * shape[1]) / scales.length;
  for (let at = 0; at < scales.length; at++) {
    const product = scales[at] * (2 ** bits - 1);
    if (isBeyondF16(product)) return { index: at * size, value: product };
    if (isBeyondF16(biases[at])) return { index: at * size, value: biases[at] };
  }
  return null;
}

/** mlx-lm refuses tensors that its models have no place for. */
function strayIn({ model: { spec, layers } }: ExportJob): (name: string) => boolean {
  // A packed format is never asked for a model without a spec.
  const own = ownTensors(spec!);
  for (const { name } of layers) own.add(`${name}.weight`);
  return (name) => !own.has(name);
}

/** `quantization` of config.json; modules with other bits or groups than most are named. */
function settings({ bits }: Recipe, layers: readonly LayerPlan[]): Record<string, unknown> {
  const usual = layers.find(({ grid }) => grid.bits === bits) ?? layers[0];
  const common = { group_size: groupIn(usual), bits: usual.grid.bits };
  const others = layers
    .map((layer) => [layer.name, { group_size: groupIn(layer), bits: layer.grid.bits }] as const)
    .filter(([, own]) => own.bits !== common.bits || own.group_size !== common.group_size);
  return { ...common, mode: "affine", ...Object.fromEntries(others) };
}

function check(layers: readonly LayerPlan[]): void {
  const layer = layers.find((l) => groupIn(l) === undefined);
  if (layer)
    throw new QuantError(
      "bad-format",
      `MLX holds groups of 32, 64 or 128, and none of them divides the ${layer.shape[1]} inputs of ${layer.name}`,
      "Use compressed-tensors, which holds rows of any length, or the dense format.",
    );
}

function notes({ bits, symmetric, rules }: Recipe): string[] {
  const exact = [bits, ...rules.map((rule) => rule.bits ?? bits)].every((b) => b < 8);
  const off = symmetric ? "an eighth of a step" : "a quarter of a step";
  return [
    "Loads in mlx-lm, for Apple silicon (tested with MLX’s CPU build on Linux).",
    exact
      ? "Scales are rounded to fewer bits before weights are, so that MLX’s own rounding leaves each weight exactly as it was measured."
      : `MLX rounds scale × code to f16, so that 8-bit weights differ from those measured by up to ${off}; fewer bits are exact.`,
  ];
}
