import { layerShape } from "../../model/layers";
import type { ModelSpec } from "../../model/spec";
import type { LayerPlan } from "../../quant/layer-plan";
import { gridSpec } from "../../quant/quantizer";
import { typeOf } from "../../quant/resolve";
import { layerKinds, type Recipe } from "../../recipe/recipe";
import type { TensorType, TypeMix } from "../../recipe/types";
import { gguf as ggufFile } from "../containers/gguf";
import { networkNotes } from "../gguf/architectures";
import { bitsPerWeight, blockTypeOf, fittingType, offsetBeyond } from "../gguf/block-types";
import { metadataOf } from "../gguf/metadata";
import { ggufEntries } from "../gguf/tensors";
import type { Format } from "./format";

/**
 * One .gguf file for llama.cpp and what is built on it, with tokenizer and chat template inside. Each layer has the smallest block type that holds its grid
 * exactly; embeddings, head and layers that are not quantized are F16, norms and biases F32.
 */
export const gguf: Format = {
  packed: true,
  holdsTables: true,
  othersIn: () => "f16 and f32",
  library: null,
  holdsBeyondF16: () => true,
  beyondF16: offsetBeyond,
  selfContained: true,
  accepts: () => true,
  check(layers) {
    for (const layer of layers) blockTypeOf(layer);
  },
  bitsPerWeight: (layer) => bitsPerWeight(blockTypeOf(layer)),
  entries: ggufEntries,
  async container({ model, plan: { layers, recipe } }) {
    const type = recipe.type === "none" ? mainType(layers) : recipe.type;
    const name = nameOf(model.source.label);
    const mostBytes = recipe.splitSize === null ? undefined : recipe.splitSize * 1e6;
    return ggufFile(`${name}-${type}.gguf`, await metadataOf(model, model.spec!, name, type), mostBytes);
  },
  files: () => ({}),
  notes,
};

/** The type of most weights. */
function mainType(layers: readonly LayerPlan[]): TensorType {
  const weights = new Map<TensorType, number>();
  for (const layer of layers) {
    const type = blockTypeOf(layer);
    weights.set(type, (weights.get(type) ?? 0) + layer.shape[0] * layer.shape[1]);
  }
  return [...weights].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}

/** The model's name as a file name: it is a folder's, which a stranger may have named. */
const nameOf = (label: string): string =>
  label
    .replace(/([^A-Za-z0-9._-]|\.{2,})+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 100) || "model";

function notes(recipe: Recipe, { spec }: { spec: ModelSpec | null }): string[] {
  if (!spec) return [];
  const types = recipe.type === "none" ? typesOf(recipe, spec).join(" and ") : namedType(recipe.type, spec);
  const tables = recipe.type !== "none" && recipe.vocabulary === "rounded" ? "rounded as llama-quantize does" : "as F16";
  const sentences = [
    `Loads in llama.cpp and what is built on it (LM Studio, Ollama, Jan, wllama): layers as ${types}, embeddings and head ${tables}.`,
  ];
  if (types.includes("Q2_0"))
    sentences.push("Q2_0 needs a llama.cpp of July 2026 or newer; Ollama and LM Studio built on an older one refuse the file.");
  return [...sentences, ...networkNotes(spec)];
}

/** "Q4_K_M, here Q4_K and Q6_K": a mix is of several types, and where a layer's rows are not whole blocks, of others again. */
function namedType(type: TensorType | TypeMix, spec: ModelSpec): string {
  const blocks = Array.from({ length: spec.blocks }, (_, block) => block);
  const found = layerKinds.flatMap((kind) =>
    blocks.map((block) => typeOf(type, { kind, block, shape: layerShape(spec, kind) }, spec, spec.blocks)),
  );
  const types = [...new Set(found)].sort();
  return types.length === 1 && types[0] === type ? type : `${type}, here ${types.join(" and ")}`;
}

/** The types of the layers that no rule changes. */
function typesOf({ bits, groupSize, symmetric, zeros }: Recipe, spec: ModelSpec): TensorType[] {
  const grid = gridSpec({ bits, groupSize, symmetric, kind: `${zeros}-zero` });
  const found = layerKinds.map((kind) => fittingType({ shape: layerShape(spec, kind), grid, type: null }));
  return [...new Set(found.filter((type) => type !== undefined))];
}
