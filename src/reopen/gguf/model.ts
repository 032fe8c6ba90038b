/** A GGUF file as a model that can be measured. */
import { QuantError } from "../../errors";
import { type Place, placesOf } from "../../export/gguf/places";
import { interleaved } from "../../export/gguf/row-order";
import { type GgmlType, ggmlTypes, tensorBytes } from "../../export/gguf/types";
import { toFloats } from "../../io/dtype";
import { bytesFile } from "../../io/memory";
import { shardsOf } from "../../io/shards";
import { findFile } from "../../io/source";
import { shown, shownList } from "../../io/text";
import type { Source } from "../../io/types";
import { linearLayers, type Model } from "../../model/checkpoint";
import { type ModelSpec, mostBlocks } from "../../model/spec";
import { decodedTensor } from "../decoded";
import { moved, type Rows } from "../rows";
import { decodeBlocks } from "./blocks";
import { architectures, type Keys, neededKeys, type Shapes, specOf } from "./network";
import { type AnyTensor, openParts, typesOf } from "./parts";
import { ropeScalingOf } from "./rope";
import { tokenizerOf } from "./tokenizer";

const again = "Write the file again, or take another one of this model.";

/**
 * Opens a GGUF file, or the parts of a split one: its own keys say what network it is. Tensors are unpacked to f32, as llama.cpp does, when they are read.
 * @throws QuantError `bad-file`, `missing-file`, `unsupported-architecture`, `unsupported-dtype`, `missing-tensor`, `wrong-shape`.
 */
export async function openGguf(source: Source): Promise<Model> {
  const { metadata, tensors, files, missing, others } = await openParts(source);
  if (missing.length) throw new QuantError("missing-file", shownList(missing, 5), "Give all parts of the model.");
  const shapes: Shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const plain = networkOf(metadata, shapes);
  const spec = { ...plain, ropeScaling: await ropeScalingOf(metadata, plain, byName.get("rope_freqs.weight")) };
  const places = placesOf(spec);
  const notes = others.length ? [`${shown(files[0].name)} is opened, not ${shownList(others, 3)}.`] : [];
  const placed = places.map((place) => tensorAt(place, byName.get(place.name), spec));
  const types = typesOf(tensors);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return {
    source: { label: source.label, files: tokenizerFiles(source, metadata) },
    spec,
    unsupported: null,
    architecture: spec.architecture,
    config: {},
    shards: shardsOf(new Map(placed.map((tensor) => [tensor.name, tensor])), notes),
    notes,
    layers: linearLayers(spec),
    stored: { title: `GGUF ${types.join(", ")}`, types, bytes, files: files.length },
  };
}

function networkOf(keys: Keys, shapes: Shapes): ModelSpec {
  const id = keys.get("general.architecture");
  const isExperts = [...shapes.keys()].some((name) => name.includes("_exps."));
  if (typeof id !== "string" || !Object.hasOwn(architectures, id) || isExperts)
    throw new QuantError(
      "unsupported-architecture",
      `general.architecture is ${shown(String(id))}${isExperts ? " with experts" : ""}`,
      `GGUF files of ${Object.keys(architectures).join(", ")} can be opened.`,
    );
  const missing = neededKeys.find((key) => typeof keys.get(`${id}.${key}`) !== "number");
  if (missing) throw new QuantError("bad-file", `the key ${id}.${missing} is missing`, again);
  const spec = specOf(id, keys, shapes);
  checkCounts(spec);
  const turned = keys.get(`${id}.rope.dimension_count`) ?? spec.headDim;
  if (turned !== spec.headDim)
    throw new QuantError("unsupported-architecture", `${turned} of ${spec.headDim} dimensions are rotated`, "Only whole heads can be run.");
  return spec;
}

function checkCounts(spec: ModelSpec): void {
  const { blocks, hidden, intermediate, heads, kvHeads, headDim, vocabulary, maxPositions } = spec;
  const counts = { blocks, hidden, intermediate, heads, kvHeads, headDim, vocabulary, maxPositions };
  const bad = Object.entries(counts).find(([, value]) => !Number.isSafeInteger(value) || value < 1 || value > 2 ** 31);
  if (bad) throw new QuantError("bad-file", `its keys give ${bad[1]} for ${bad[0]}`, again);
  if (blocks > mostBlocks) throw new QuantError("bad-file", `its keys tell of ${blocks} blocks`, again);
  if (heads % kvHeads || headDim % 2)
    throw new QuantError("bad-file", `its keys give ${heads} heads of ${headDim}, ${kvHeads} of keys`, again);
  if (!(spec.eps > 0 && spec.ropeTheta > 0)) throw new QuantError("bad-file", "its keys give no epsilon or base of angles above 0", again);
}

function tensorAt({ name, source, shape, headDim }: Place, tensor: AnyTensor | undefined, { architecture }: ModelSpec) {
  if (!tensor) throw new QuantError("missing-tensor", shown(name), again);
  if (tensor.shape.join() !== shape.join())
    throw new QuantError(
      "wrong-shape",
      `${name} in ${shown(tensor.file.name)} is ${tensor.shape.join(" × ")}, but its keys and ${architecture} imply ${shape.join(" × ")}`,
      again,
    );
  const width = shape.length === 1 ? 1 : shape[1];
  const rows = rowsOf(tensor, width);
  return headDim === undefined
    ? decodedTensor(source, shape, width, rows)
    : decodedTensor(
        source,
        shape,
        width,
        moved(rows, width, (r) => interleaved(r, headDim)),
        headDim,
      );
}

/** Rows as they lie in the file. @throws QuantError `unsupported-dtype`. */
function rowsOf({ name, type, start, file }: AnyTensor, width: number): Rows {
  const isHalf = type === "BF16";
  if (!isHalf && (!Object.hasOwn(ggmlTypes, type) || width % ggmlTypes[type as GgmlType].values))
    throw new QuantError(
      "unsupported-dtype",
      `${name} in ${shown(file.name)} is ${type}`,
      `Tensors of ${Object.keys(ggmlTypes).join(", ")} and BF16 can be read.`,
    );
  const rowBytes = isHalf ? 2 * width : tensorBytes(name, type as GgmlType, [width]);
  return async (from, to) => {
    const bytes = await file.read(start + from * rowBytes, start + to * rowBytes);
    return isHalf ? toFloats(bytes, "BF16") : decodeBlocks(type as GgmlType, bytes);
  };
}

/** Files beside it that say how texts become tokens; without a tokenizer.json, what the file's own keys say. */
function tokenizerFiles(source: Source, keys: Keys): Source["files"] {
  const names = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
  if (findFile(source, names[0])) return source.files.filter(({ name }) => names.includes(name));
  const own = tokenizerOf(keys);
  if (!own) return [];
  return [bytesFile(names[0], JSON.stringify(own.tokenizer)), bytesFile(names[1], JSON.stringify(own.config))];
}
