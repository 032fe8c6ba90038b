import { asQuantError, givenAs, QuantError } from "../errors";
import { findNonFinite } from "../io/dtype";
import { parseJsonKept, readJson } from "../io/json";
import { openShards } from "../io/shards";
import { findFile } from "../io/source";
import { shown, shownList } from "../io/text";
import type { Shards, Source, SourceFile } from "../io/types";
import { noWeights } from "../io/weight-files";
import { elements, type FloatDtype, type Ops, type Tensor } from "../ops/ops";
import { type LayerKind, layerKinds } from "../recipe/recipe";
import { architectureName, familyNotes, familyOf } from "./families";
import { leftoverSettings, refuseForeign } from "./foreign";
import { genericLayers } from "./generic";
import { hasOtherHead } from "./head";
import { embeddingName, finalNormName, headName, type LinearLayer, layerName, layerShape, normNames } from "./layers";
import { isPacked, packedParts, packedTensors } from "./packing";
import { type ModelSpec, parseSpec } from "./spec";

/** An open checkpoint: its tensors and its other files. No tensor's data is loaded yet. */
export interface Checkpoint {
  readonly source: Source;
  /** How to run it; null for an unknown architecture, which can only be rounded to nearest. */
  readonly spec: ModelSpec | null;
  /** Why it cannot be run; null where it can. */
  readonly unsupported: QuantError | null;
  /** As config.json names it. */
  readonly architecture: string;
  /** config.json as `parseJsonKept` reads it, so that `writeJson` writes its numbers as they were. */
  readonly config: Record<string, unknown>;
  readonly shards: Shards;
  /** Sentences on how files and settings were read, wherever there was a choice. */
  readonly notes: readonly string[];
  /** The file that it lies in, where that is of a runtime's own format, whose tensors are unpacked when they are read: it can be measured, not quantized. */
  readonly stored?: Stored;
  /** The checkpoint as it was opened, where this one is its rotated form. */
  readonly original?: Model;
  /** What can be quantized, block by block. */
  readonly layers: readonly LinearLayer[];
}

/** A runtime's own file as it lies on disk. */
export interface Stored {
  /** "GGUF Q4_K, F32", for people. */
  readonly title: string;
  /** Its types of tensors, most bytes first. */
  readonly types: readonly string[];
  readonly bytes: number;
  readonly files: number;
}

/** A checkpoint that can be run. */
export interface Model extends Checkpoint {
  readonly spec: ModelSpec;
}

type Json = Record<string, unknown>;

const megabyte = 2 ** 20;
const floatDtypes: readonly string[] = ["F32", "F16", "BF16"];

/**
 * Opens a checkpoint and checks that every tensor the forward pass needs is there with the shape that config.json implies. A checkpoint of an unknown
 * architecture opens without a spec, as long as it holds floats and layers that can be recognised.
 * @throws QuantError missing-file, bad-json, bad-config, unsupported-architecture, bad-safetensors, missing-tensor, wrong-shape, …
 */
export const openCheckpoint = (source: Source): Promise<Checkpoint> => givenAs("checkpoint", () => open(source));

async function open(source: Source): Promise<Checkpoint> {
  const file = findFile(source, "config.json");
  if (!file) throw missingConfig(source);
  const opened = await readConfig(source, file);
  try {
    return await openKnown(opened);
  } catch (cause) {
    const error = asQuantError(cause);
    const unknown = error.code === "unsupported-architecture" && openUnknown(opened, error);
    if (unknown) return unknown;
    throw cause;
  }
}

/** Files by which it can be told that somebody meant a checkpoint. */
const partOfOne = /\.(safetensors|gguf|ggml|onnx|bin|pth?|ckpt|h5|msgpack)$|\.index\.json$|^tokenizer/i;

/** Names files that are something else, and says what is expected. */
function whatElse(names: readonly string[]): [where: string, hint: string] {
  const zip = names.find((name) => /\.zip$/i.test(name));
  if (zip) return [`${shown(zip)} lies among other files`, "Give it alone where QEP Studio wrote it; unpack any other zip first."];
  return [
    shownList(names, 3),
    "Give a model's folder (config.json, .safetensors files, tokenizer.json), a GGUF file, or a zip that QEP Studio wrote.",
  ];
}

/** The error for a missing config.json; where the other files show what they are instead of a model, it says that. */
function missingConfig(source: Source): QuantError {
  const isModel = source.files.some(({ name }) => /\.safetensors$/.test(name) && !/^(adapter_|consolidated)/.test(name));
  if (!isModel && source.files.some(({ name }) => /\.(safetensors|gguf|bin|pth?)$/i.test(name))) return noWeights(source);
  if (/^models--/.test(source.label)) return noWeights(source);
  const others = source.files.map(({ name }) => name);
  if (others.length && !others.some((name) => partOfOne.test(name))) return new QuantError("not-a-checkpoint", ...whatElse(others));
  return new QuantError("missing-file", "config.json", "Add the model's config.json to the files you choose.");
}

/** What is read before the architecture matters. */
interface Opened {
  source: Source;
  config: Json;
  /** As `Checkpoint.config`. */
  kept: Json;
  shards: Shards;
  notes: readonly string[];
}

async function readConfig(source: Source, file: SourceFile): Promise<Opened> {
  const config = await readJson(file, megabyte);
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw new QuantError("bad-config", "config.json is not a JSON object");
  const kept = parseJsonKept(await file.read(0, file.size), file.name) as Json;
  const named = (config as Json).transformers_weights;
  const shards = await openShards(source, typeof named === "string" ? named : undefined);
  refuseForeign(config as Json, shards);
  const fields = leftoverSettings(config as Json, shards);
  if (!fields.length) return { source, config: config as Json, kept, shards, notes: shards.notes };
  const without = (json: Json) => Object.fromEntries(Object.entries(json).filter(([key]) => !fields.includes(key)));
  const note = `config.json's ${fields.join(" and ")} is left over from a quantization that the weights show no trace of; it is ignored and not copied.`;
  return { source, config: without(config as Json), kept: without(kept), shards, notes: [...shards.notes, note] };
}

/** As `openCheckpoint`, for what is to be run. @throws QuantError `unsupported-architecture`. */
export async function openModel(source: Source): Promise<Model> {
  return runnable(await openCheckpoint(source));
}

/** @throws QuantError `unsupported-architecture`. */
export function runnable(checkpoint: Checkpoint): Model {
  if (checkpoint.unsupported) throw checkpoint.unsupported;
  return checkpoint as Model;
}

/** A checkpoint of an unknown architecture; null where nothing can be done with it: it is quantized already, or no layer is recognised. */
function openUnknown({ source, config, kept, shards, notes }: Opened, unsupported: QuantError): Checkpoint | null {
  if (config.quantization_config || config.quantization) return null;
  const layers = genericLayers(shards);
  return layers.length
    ? { source, spec: null, unsupported, architecture: architectureName(config), config: kept, shards, notes, layers }
    : null;
}

async function openKnown({ source, config, kept, shards, notes: fileNotes }: Opened): Promise<Model> {
  const parsed = parseSpec(config);
  if (parsed.packing) checkTables(shards);
  for (const [name, shape] of expectedTensors(parsed)) checkTensor(shards, name, shape, floatDtypes);
  const layers = linearLayers(parsed);
  for (const { name, shape } of layers) checkLayer(shards, parsed, name, shape);
  checkBlockCount(shards, parsed);
  const untied = parsed.tied && (await untiedHead(shards, parsed));
  const spec = untied ? { ...parsed, tied: false } : parsed;
  const notes = [
    ...fileNotes,
    ...familyNotes(config, familyOf(config)),
    ...biasNotes(shards, spec, layers),
    ...strayNotes(shards, spec, layers),
    ...(untied ? [otherHead] : []),
  ];
  const written = untied ? { ...kept, tie_word_embeddings: false } : kept;
  return { source, spec, unsupported: null, architecture: spec.architecture, config: written, shards, notes, layers };
}

const otherHead =
  "config.json ties head and embeddings, but the file has a head of its own that differs: it is used, as in transformers, and exports say so.";

/** Whether there is a head with other weights than the embeddings', although config.json ties the two. */
async function untiedHead(shards: Shards, { vocabulary, hidden }: ModelSpec): Promise<boolean> {
  if (!shards.tensors.has(headName)) return false;
  checkTensor(shards, headName, [vocabulary, hidden], floatDtypes);
  return hasOtherHead(shards);
}

/** A note on biases that the architecture does not have, and which are therefore left out of the forward pass. */
function biasNotes(shards: Shards, { biases, architecture }: ModelSpec, layers: readonly LinearLayer[]): string[] {
  const ignored = layers.filter(({ name, kind }) => !biases.has(kind as LayerKind) && shards.tensors.has(`${name}.bias`));
  if (!ignored.length) return [];
  const kinds = [...new Set(ignored.map(({ kind }) => kind))].join(", ");
  return [`Biases of ${kinds} are ignored: ${architecture} has none there by this config.json, and transformers ignores them too.`];
}

/** A note on other tensors that the architecture has no place for. Not on the rotary frequencies in old files: they are computed here. */
function strayNotes({ tensors }: Shards, spec: ModelSpec, layers: readonly LinearLayer[]): string[] {
  const own = ownTensors(spec).add(headName);
  const parts = ["weight", "bias", ...(spec.packing ? packedParts(spec.packing) : [])];
  for (const { name } of layers) for (const part of parts) own.add(`${name}.${part}`);
  const stray = [...tensors.keys()].filter((name) => !own.has(name) && !name.endsWith(".rotary_emb.inv_freq"));
  if (!stray.length) return [];
  const more = stray.length > 1 ? ` and ${stray.length - 1} more` : "";
  return [`Ignored, as in transformers: ${shown(stray[0])}${more}, for which ${spec.architecture} has no place.`];
}

/** The linear layers of every block. */
export const linearLayers = (spec: ModelSpec): LinearLayer[] =>
  Array.from({ length: spec.blocks }, (_, block) =>
    layerKinds.map((kind) => ({ name: layerName(block, kind), kind, block, shape: layerShape(spec, kind) })),
  ).flat();

/** The names of the tensors that the forward pass needs, but for those of the linear layers' weights. */
export const ownTensors = (spec: ModelSpec): Set<string> => new Set([...expectedTensors(spec)].map(([name]) => name));

/** Name and shape of every tensor that the forward pass needs, but for the linear layers' weights. */
export function* expectedTensors(spec: ModelSpec): Generator<[string, number[]]> {
  yield [embeddingName, [spec.vocabulary, spec.hidden]];
  for (let m = 0; m < spec.blocks; m++) {
    yield [normNames(m).input, [spec.hidden]];
    yield [normNames(m).postAttention, [spec.hidden]];
    for (const kind of spec.biases) yield [`${layerName(m, kind)}.bias`, [layerShape(spec, kind)[0]]];
    if (spec.qkNorm) for (const name of [normNames(m).q, normNames(m).k]) yield [name, [spec.headDim]];
  }
  yield [finalNormName, [spec.hidden]];
  if (!spec.tied) yield [headName, [spec.vocabulary, spec.hidden]];
}

/** mlx-lm's own converter packs embeddings and head too. */
function checkTables({ tensors }: Shards): void {
  const table = [embeddingName, headName].find((name) => tensors.has(name.replace(/weight$/, "scales")));
  if (table)
    throw new QuantError(
      "unsupported-architecture",
      `${table} is packed as the layers are`,
      "Only packed linear layers can be read: use the original checkpoint.",
    );
}

/** Checks a linear layer's tensors: its weight, or what it is packed in. */
function checkLayer(shards: Shards, { packing }: ModelSpec, name: string, shape: readonly [number, number]): void {
  if (!isPacked(shards, packing, name)) {
    checkTensor(shards, `${name}.weight`, shape, floatDtypes);
    return;
  }
  for (const [part, { shape: expected, dtypes, optional }] of packedTensors(packing, shards, name, shape))
    if (!optional || shards.tensors.has(`${name}.${part}`)) checkTensor(shards, `${name}.${part}`, expected, dtypes);
}

/** @throws QuantError `missing-tensor`, `wrong-shape`, `unsupported-dtype`. */
export function checkTensor(shards: Shards, name: string, shape: readonly number[], dtypes: readonly string[]): void {
  const tensor = shards.tensors.get(name);
  if (!tensor)
    throw new QuantError("missing-tensor", name, "Add the shard that holds it, or check that config.json belongs to these files.");
  if (tensor.shape.join() !== shape.join())
    throw new QuantError(
      "wrong-shape",
      `${name} in ${tensor.file.name} is ${tensor.shape.join(" × ") || "a scalar"}, but config.json implies ${shape.join(" × ")}`,
      "Check that config.json belongs to these files.",
    );
  if (!dtypes.includes(tensor.dtype))
    throw new QuantError(
      "unsupported-dtype",
      `${name} in ${tensor.file.name} is ${tensor.dtype}`,
      `${dtypes.join(", ").replace(/, (\w+)$/, " or $1")} is expected here.`,
    );
}

/** More blocks in the files than config.json says: one of the two is wrong, and quantizing a part would hide it. */
function checkBlockCount(shards: Shards, spec: ModelSpec): void {
  const extra = `${layerName(spec.blocks, "q_proj")}.weight`;
  if (shards.tensors.has(extra))
    throw new QuantError(
      "contradiction",
      `config.json says ${spec.blocks} blocks, but the files also hold ${extra}`,
      "Check that config.json belongs to these files.",
    );
}

/** Loads a tensor, or rows [from, to) of it, to the device. @throws QuantError `non-finite-weights` naming tensor, index and count. */
export async function loadTensor(
  ops: Ops,
  model: Pick<Checkpoint, "shards">,
  name: string,
  rows?: { from: number; to: number },
): Promise<Tensor> {
  const info = model.shards.tensors.get(name);
  if (!info) throw new QuantError("missing-tensor", name);
  const bytes = await model.shards.readTensor(name, rows);
  checkFinite(name, bytes, info.dtype as FloatDtype);
  const shape = rows ? [rows.to - rows.from, ...info.shape.slice(1)] : info.shape;
  return ops.fromBytes(bytes, info.dtype as FloatDtype, shape);
}

/** @throws QuantError `non-finite-weights` naming tensor, index and count. */
export function checkFinite(name: string, bytes: Uint8Array, dtype: FloatDtype): void {
  const bad = findNonFinite(bytes, dtype);
  if (bad)
    throw new QuantError(
      "non-finite-weights",
      `${name} has ${bad.count} of them, the first at index ${bad.index}`,
      "The checkpoint is damaged: download it again.",
    );
}

/** Parameters, bytes and dtypes (most bytes first) of all tensors. A packed layer counts as the weights it holds. */
export function census({ shards, spec, layers }: Pick<Checkpoint, "shards" | "spec" | "layers">): {
  parameters: number;
  bytes: number;
  dtypes: string[];
} {
  const packing = spec?.packing ?? null;
  const packed = layers.filter(({ name }) => isPacked(shards, packing, name));
  const parts = new Set(packing && packed.flatMap(({ name }) => packedParts(packing).map((part) => `${name}.${part}`)));
  const bytesOf = new Map<string, number>();
  let parameters = packed.reduce((sum, { shape }) => sum + elements(shape), 0);
  for (const t of shards.tensors.values()) {
    if (!parts.has(t.name)) parameters += elements(t.shape);
    bytesOf.set(t.dtype, (bytesOf.get(t.dtype) ?? 0) + t.end - t.start);
  }
  const dtypes = [...bytesOf].sort((a, b) => b[1] - a[1]).map(([d]) => d);
  return { parameters, bytes: [...bytesOf.values()].reduce((a, b) => a + b, 0), dtypes };
}
