import { QuantError } from "../../errors";
import type { PackedLayer } from "../../quant/coded";
import { groupsOf, type LayerPlan } from "../../quant/layer-plan";
import type { Recipe } from "../../recipe/recipe";
import { safetensors } from "../containers/safetensors";
import { scalesByGroup } from "./by-group";
import type { ExportJob, Format } from "./format";
import { inSourceOrder, integerEntry, type LayerEntry, type RoundedPlan, withDtype } from "./source-order";

/**
 * AutoAWQ's layout "GEMM", for 4 bits: qweight I32 [in, out/8] and qzeros I32 [G, out/8], eight outputs a word in the order of `nibbles`, zeros as they are;
 * scales F16 [G, out]. Codes of any method fit: what AWQ does to a model is in its weights and norms.
 */
export const awq: Format = {
  packed: true,
  accepts: (kind) => kind === "integer-zero",
  entries: (job) => inSourceOrder(job, layerEntries),
  container: async () => safetensors,
  files: (job) => ({ "config.json": { ...withDtype(job.model.config, "float16"), quantization_config: settings(job) } }),
  check,
  notes: () => [
    "Loads in transformers (with GPTQModel installed), whatever method made the codes.",
    "Going by their source code, vLLM and SGLang load it too (not tested here).",
  ],
};

/** Which nibble of a word, lowest first, holds output 8c, 8c + 1, … 8c + 7. */
const nibbles = [0, 4, 1, 5, 2, 6, 3, 7];
const wordsAtOnce = 64;

function layerEntries({ name, shape, grid }: RoundedPlan): LayerEntry[] {
  const [out, n] = shape;
  const groups = groupsOf(shape, grid);
  const entry = integerEntry(name);
  return [
    entry("qweight", "I32", [n, out / 8], weights),
    entry("qzeros", "I32", [groups, out / 8], (layer) => [zeros(layer)]),
    entry("scales", "F16", [groups, out], (layer) => [scalesByGroup(layer)]),
  ];
}

/** Our words hold eight inputs of one output; the file's, eight outputs of one input. */
function* weights({ words, shape: [out, n] }: PackedLayer): Generator<Uint8Array> {
  const perRow = words.length / out;
  const columns = out / 8;
  for (let from = 0; from < perRow; from += wordsAtOnce) {
    const to = Math.min(perRow, from + wordsAtOnce);
    const rows = Math.min(n, 8 * to) - 8 * from;
    const part = new Uint32Array(rows * columns);
    for (let o = 0; o < out; o++) {
      const shift = 4 * nibbles[o & 7];
      for (let i = 0; i < rows; i++) {
        const code = (words[o * perRow + from + (i >> 3)] >>> (4 * (i & 7))) & 15;
        part[i * columns + (o >> 3)] |= code << shift;
      }
    }
    yield new Uint8Array(part.buffer);
  }
}

function zeros({ zeros, scales, shape: [out] }: PackedLayer): Uint8Array {
  const groups = scales.length / out;
  const all = new Uint32Array((groups * out) / 8);
  for (let o = 0; o < out; o++) for (let g = 0; g < groups; g++) all[(g * out + o) >> 3] |= zeros[o * groups + g] << (4 * nibbles[o & 7]);
  return new Uint8Array(all.buffer);
}

function settings({ plan: { recipe, blocks, quantizedBlocks } }: ExportJob): Record<string, unknown> {
  // vLLM looks for these in a name, transformers matches them as patterns: neither takes block 1 for block 11.
  const floats = Array.from({ length: blocks - quantizedBlocks }, (_, at) =>
    ["self_attn", "mlp"].map((part) => `model.layers.${quantizedBlocks + at}.${part}`),
  ).flat();
  return {
    quant_method: "awq",
    version: "gemm",
    bits: 4,
    group_size: recipe.groupSize,
    // Symmetric grids have their zeros in the file too.
    zero_point: true,
    modules_to_not_convert: floats.length ? floats : null,
  };
}

function check(layers: readonly LayerPlan[], { groupSize }: Recipe): void {
  for (const { name, shape, grid } of layers) {
    if (grid.bits !== 4)
      throw new QuantError("bad-format", `${name} would have ${grid.bits} bits, and AWQ has 4`, "Use 4 bits, or compressed-tensors.");
    if (grid.groupSize !== groupSize)
      throw new QuantError(
        "bad-format",
        `a rule gives ${name} another group size than the recipe, and an AWQ file has one`,
        "Use compressed-tensors, or rules that leave groups alone.",
      );
    if (shape[0] % 8)
      throw new QuantError(
        "bad-format",
        `the ${shape[0]} outputs of ${name} do not fill AWQ's words of eight`,
        "Use compressed-tensors, or the dense format.",
      );
  }
}
