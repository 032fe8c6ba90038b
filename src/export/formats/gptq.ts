import { version } from "../../../package.json";
import { QuantError } from "../../errors";
import { packBits } from "../../ops/bits";
import type { PackedLayer } from "../../quant/coded";
import { groupsOf, type LayerPlan, type RunPlan } from "../../quant/layer-plan";
import type { Recipe } from "../../recipe/recipe";
import { safetensors } from "../containers/safetensors";
import { scalesByGroup } from "./by-group";
import { sameGrids, type Target } from "./by-module";
import type { Format } from "./format";
import { inSourceOrder, integerEntry, type LayerEntry, type RoundedPlan, withDtype } from "./source-order";

/**
 * GPTQ's packed layout: qweight [in·b/32, out] with the bit stream down the inputs, qzeros [G, out·b/32] along the outputs,
 * scales F16 [G, out], g_idx [in]. Symmetric grids are written as v1 (zeros stored minus one, which every client reads), asymmetric ones as
 * v2 (zeros as they are), because a zero of 0 has no place in v1.
 */
export const gptq: Format = {
  packed: true,
  accepts: (kind) => kind === "integer-zero",
  entries: (job) => inSourceOrder(job, gptqEntries),
  container: async () => safetensors,
  files: ({ model, plan }) => ({
    "config.json": { ...withDtype(model.config, "float16"), quantization_config: settings(plan) },
    "quantize_config.json": settings(plan),
  }),
  check,
  notes,
};

function gptqEntries({ name, shape, grid }: RoundedPlan): LayerEntry[] {
  const [out, n] = shape;
  const groups = groupsOf(shape, grid);
  const entry = integerEntry(name);
  return [
    entry("qweight", "I32", [(n * grid.bits) / 32, out], weights),
    entry("qzeros", "I32", [groups, (out * grid.bits) / 32], (layer) => [zeros(layer)]),
    entry("scales", "F16", [groups, out], (layer) => [scalesByGroup(layer)]),
    entry("g_idx", "I32", [n], (layer) => [groupIndex(layer)]),
  ];
}

function settings(plan: RunPlan): Record<string, unknown> {
  const { bits, groupSize, symmetric } = plan.recipe;
  const format = symmetric ? "gptq" : "gptq_v2";
  const dynamic = exceptions(plan);
  return {
    quant_method: "gptq",
    bits,
    group_size: groupSize,
    // Clients take desc_act to mean a g_idx out of order. Our act-order leaves groups where they are, so g_idx is in order.
    desc_act: false,
    sym: symmetric,
    checkpoint_format: format,
    format,
    lm_head: false,
    true_sequential: true,
    pack_dtype: "int32",
    ...(Object.keys(dynamic).length ? { dynamic } : {}),
    meta: { quantizer: [`qep-studio:${version}`] },
  };
}

/** GPTQModel's `dynamic`: patterns of layers with other bits or groups ("+:"), and of blocks that stay floats ("-:"). */
function exceptions({ layers, blocks, quantizedBlocks, recipe }: RunPlan): Record<string, unknown> {
  const others = sameGrids(layers).filter(({ layers: [{ grid }] }) => differs(grid, recipe));
  const rules = others.flatMap(({ layers: [{ grid }], targets }) =>
    targets.map((target): [string, unknown] => [`+:${patternOf(target)}`, { bits: grid.bits, group_size: grid.groupSize }]),
  );
  const floats = Array.from({ length: blocks - quantizedBlocks }, (_, at): [string, unknown] => [
    `-:^model\\.layers\\.${quantizedBlocks + at}\\.`,
    {},
  ]);
  // GPTQModel takes the first pattern that fits.
  return Object.fromEntries([...floats, ...rules]);
}

const patternOf = (target: Target): string => ("kind" in target ? `.*\\.${target.kind}$` : `^${target.name.replaceAll(".", "\\.")}$`);

const differs = (grid: LayerPlan["grid"], { bits, groupSize }: Recipe) => grid.bits !== bits || grid.groupSize !== groupSize;

const rowsAtOnce = 64;

/** Our words are [out, in·b/32]; the file holds the transpose. */
function* weights({ words, shape: [out] }: PackedLayer): Generator<Uint8Array> {
  const perRow = words.length / out;
  for (let from = 0; from < perRow; from += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, perRow - from);
    const part = new Uint32Array(rows * out);
    for (let w = 0; w < rows; w++) for (let o = 0; o < out; o++) part[w * out + o] = words[o * perRow + from + w];
    yield new Uint8Array(part.buffer);
  }
}

function zeros({ zeros, scales, shape: [out], bits, symmetric }: PackedLayer): Uint8Array {
  const groups = scales.length / out;
  const stored = (z: number) => (symmetric ? z - 1 : z);
  const rows = Array.from({ length: groups }, (_, g) =>
    packBits(
      Array.from({ length: out }, (_, o) => stored(zeros[o * groups + g])),
      bits,
    ),
  );
  const all = new Uint32Array(groups * rows[0].length);
  for (const [g, row] of rows.entries()) all.set(row, g * row.length);
  return new Uint8Array(all.buffer);
}

function groupIndex({ scales, shape: [out, n] }: PackedLayer): Uint8Array {
  const size = (n * out) / scales.length;
  return new Uint8Array(Int32Array.from({ length: n }, (_, i) => Math.floor(i / size)).buffer);
}

function check(layers: readonly LayerPlan[], recipe: Recipe, whole: boolean): void {
  if (recipe.destination !== "gptqmodel") checkUniform(layers, recipe, whole);
  for (const { name, shape, grid } of layers) checkWords(name, shape, grid.bits);
}

/** Only GPTQModel reads `dynamic`: transformers fails on layers that differ. */
function checkUniform(layers: readonly LayerPlan[], recipe: Recipe, whole: boolean): void {
  const elsewhere = "or GPTQModel alone as the place to run it (--for gptqmodel)";
  if (!whole)
    throw new QuantError(
      "bad-format",
      `only the first ${recipe.blocks} blocks would be packed`,
      `Quantize all blocks, use compressed-tensors, ${elsewhere}.`,
    );
  const other = layers.find(({ grid }) => differs(grid, recipe));
  if (other)
    throw new QuantError(
      "bad-format",
      `a rule gives ${other.name} other bits or groups than the recipe, and a GPTQ file for other programs than GPTQModel has one of each`,
      `Use compressed-tensors or MLX, which hold several, rules that leave bits and groups alone, ${elsewhere}.`,
    );
}

function checkWords(name: string, [out, n]: readonly [number, number], bits: number): void {
  for (const [what, size] of [
    ["outputs", out],
    ["inputs", n],
  ] as const)
    if ((size * bits) % 32)
      throw new QuantError(
        "bad-format",
        `the ${size} ${what} of ${name} at ${bits} bits do not fill whole 32-bit words`,
        "Use other bits (8 and 4 fit most sizes), or compressed-tensors, which holds rows of any length.",
      );
}

function notes({ bits, symmetric, destination }: Recipe): string[] {
  const layout = symmetric ? "Written as GPTQ v1 (zeros minus one)." : "Asymmetric, so written as gptq_v2 (zeros as they are).";
  if (destination === "gptqmodel")
    return [layout, "Loads in GPTQModel; where layers have other bits or groups, or stay floats, in nothing else."];
  const clients = "Loads in transformers and GPTQModel.";
  if (!symmetric) return [layout, clients, "vLLM and SGLang take symmetric GPTQ only: choose Symmetric for them."];
  if (bits === 4 || bits === 8) return [layout, clients, "Going by their source code, vLLM and SGLang load it too (not tested here)."];
  return [layout, clients, `vLLM and SGLang refuse ${bits}-bit GPTQ (vLLM since mid-2026): use 4 or 8 bits for them.`];
}
