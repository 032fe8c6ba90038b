/** A GGUF file: header, keys, tokenizer, tensors, and the order of q's and k's rows. */

import { asQuantError } from "../../errors";
import { architectureOf } from "../../export/gguf/architectures";
import { type Place, placesOf } from "../../export/gguf/places";
import { interleaved } from "../../export/gguf/row-order";
import { type GgmlType, ggmlTypes, otherTypes } from "../../export/gguf/types";
import { findNonFinite, toFloats } from "../../io/dtype";
import type { ModelSpec } from "../../model/spec";
import { decodeBlocks, nonFiniteBlock } from "../../reopen/gguf/blocks";
import type { Keys, Shapes } from "../../reopen/gguf/network";
import { type AnyTensor, openParts, typesOf } from "../../reopen/gguf/parts";
import { moved, type Rows } from "../../reopen/rows";
import { Comparison } from "../compare";
import type { CheckJob } from "../job";
import { compareNetworks, tellOther } from "../network";
import { checkTokenizerKeys, keyNames, networkOf } from "./keys";
import { ggufMatrix } from "./matrix";

const pieceBytes = 8 * 2 ** 20;
const divisorsName = "rope_freqs.weight";
const floats = ["F32", "F16", "BF16"];
const allTypes = { ...ggmlTypes, ...otherTypes };

export async function checkGguf(job: CheckJob): Promise<void> {
  job.title = "GGUF";
  const { metadata, tensors, missing, others } = await openParts(job.source);
  if (missing.length)
    job.findings.add("error", "missing-part", "Parts of the model are not there: no client loads it.", missing.join(", "));
  if (others.length)
    job.findings.add("warning", "opened", "There are several GGUF files; the first model is checked, not these.", others.join(", "));
  job.title = `GGUF: ${typesOf(tensors).join(", ")}`;
  job.tensors = tensors.length;
  for (const { start, end } of tensors) job.total += end - start;
  const shapes: Shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const spec = await networkOf(
    job,
    metadata,
    shapes,
    tensors.find(({ name }) => name === divisorsName),
  );
  checkTokenizerKeys(job, metadata, shapes);
  if (spec && !missing.length) {
    checkNames(job, spec, shapes);
    await compareWithOriginal(job, spec, metadata, shapes);
  }
  await new TensorCheck(job, tensors).run();
}

async function compareWithOriginal(job: CheckJob, spec: ModelSpec, keys: Keys, shapes: Shapes): Promise<void> {
  const original = job.original?.spec;
  if (!original) return;
  const id = String(keys.get("general.architecture"));
  const expected = safely(() => architectureOf(original).id);
  if (expected && expected !== id) tellOther(job, "Architecture", id, expected, "general.architecture");
  const turned = keys.get(`${id}.rope.dimension_count`);
  if (typeof turned === "number" && turned !== original.headDim)
    tellOther(job, "Rotated dimensions of a head", String(turned), String(original.headDim), `${id}.rope.dimension_count`);
  await compareNetworks(job, { spec, hasHead: shapes.has("output.weight"), names: keyNames(id), positions: spec.maxPositions });
}

function checkNames({ findings }: CheckJob, spec: ModelSpec, shapes: Shapes): void {
  // Whether llama.cpp scales angles so does not matter for names.
  const places = safely(() => placesOf({ ...spec, ropeScaling: { kind: "default" } })) ?? [];
  const own = new Set([divisorsName, ...places.map(({ name }) => name)]);
  for (const { name, shape } of places) {
    const found = shapes.get(name);
    if (!found) findings.join("error", "missing-tensor", "Tensors are missing.", name);
    else if (found.join() !== shape.join())
      findings.join(
        "error",
        "wrong-shape",
        "Tensors do not have the shape that the metadata implies.",
        `${name} (${found.join(" × ")}, not ${shape.join(" × ")})`,
      );
  }
  for (const name of shapes.keys())
    if (!own.has(name))
      findings.join(
        "warning",
        "unexpected-tensor",
        "There are tensors that the architecture has no place for; llama.cpp refuses some.",
        name,
      );
}

/** Null for what GGUF has no place for. */
function safely<T>(work: () => T): T | null {
  try {
    return work();
  } catch (cause) {
    if (asQuantError(cause).code === "bad-format") return null;
    throw cause;
  }
}

class TensorCheck {
  private readonly comparison: Comparison | null;
  /** Where a tensor is in the original, by its name here. */
  private readonly places: ReadonlyMap<string, Place>;
  private readonly byName: ReadonlyMap<string, AnyTensor>;

  constructor(
    private readonly job: CheckJob,
    private readonly tensors: readonly AnyTensor[],
  ) {
    this.byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const { original } = job;
    const places = original?.spec ? safely(() => comparedPlaces(original.spec!)) : null;
    this.comparison = places && new Comparison(job, original!, (source) => this.vector(source));
    this.places = new Map((places ?? []).map((place) => [place.name, place]));
    if (original && !places) job.findings.add("warning", "compared", "GGUF has no names for the original's layers: nothing is compared.");
  }

  async run(): Promise<void> {
    for (const tensor of this.tensors) {
      const place = this.places.get(tensor.name);
      if (!canDecode(tensor.type)) this.otherTensor(tensor);
      else if (place?.shape.length === tensor.shape.length && canSlice(tensor)) await this.compare(place, tensor);
      else await this.values(tensor);
    }
    this.comparison?.conclude();
  }

  private async compare(place: Place, tensor: AnyTensor): Promise<void> {
    const rows: Rows = (from, to) => this.rows(tensor, from, to);
    const { headDim } = this.job.original!.spec!;
    if (/_proj\.weight$/.test(place.source)) return this.comparison!.layer(ggufMatrix(place, headDim, tensor, rows));
    const { name, type, shape } = tensor;
    const turned = place.headDim !== undefined && shape[0] % headDim === 0;
    const inOrder = turned ? moved(rows, 1, (r) => interleaved(r, headDim)) : rows;
    await this.comparison!.other({ name, source: place.source, shape, stored: type, rows: inOrder, unit: turned ? headDim : 1 });
  }

  /** Rows as they lie in the file; of a vector, values. */
  private async rows(tensor: AnyTensor, from: number, to: number): Promise<Float32Array> {
    const rowBytes = rowBytesOf(tensor);
    const bytes = await tensor.file.read(tensor.start + from * rowBytes, tensor.start + to * rowBytes);
    this.job.read(bytes.length, tensor.name);
    this.tell(tensor, bytes);
    return decode(tensor, bytes);
  }

  private async values(tensor: AnyTensor): Promise<void> {
    const unit = allTypes[tensor.type].bytes;
    const step = Math.floor(pieceBytes / unit) * unit;
    let isTold = false;
    for (let at = tensor.start; at < tensor.end; at += step) {
      const to = Math.min(tensor.end, at + step);
      this.job.read(to - at, tensor.name);
      const bytes = await tensor.file.read(at, to);
      if (!isTold) isTold = this.tell(tensor, bytes);
    }
  }

  private tell({ name, type }: AnyTensor, bytes: Uint8Array): boolean {
    const isSound = type === "BF16" ? !findNonFinite(bytes, type) : nonFiniteBlock(type as GgmlType, bytes) < 0;
    if (isSound) return false;
    if (floats.includes(type)) this.job.findings.join("error", "not-finite", "Weights are NaN or infinite.", name);
    else this.job.findings.join("error", "scales-not-finite", "Scales or offsets of blocks are NaN or infinite.", name);
    return true;
  }

  private otherTensor({ name, type, start, end }: AnyTensor): void {
    this.job.read(end - start, name);
    this.job.findings.join("warning", "unreadable", `Blocks of type ${type} are not unpacked here.`, name);
  }

  /** A norm, whole. */
  private async vector(source: string): Promise<Float32Array | null> {
    const place = [...this.places.values()].find((p) => p.source === source);
    const tensor = place && this.byName.get(place.name);
    if (!tensor || !floats.includes(tensor.type)) return null;
    return decode(tensor, await tensor.file.read(tensor.start, tensor.end));
  }
}

/** Every tensor that llama.cpp reads in the original's architecture: a head and biases too where the original has none. */
function comparedPlaces(spec: ModelSpec): Place[] {
  return placesOf({ ...spec, tied: false, biases: new Set(architectureOf(spec).biases) });
}

/** Of other programs' types only bf16 is looked into. */
const canDecode = (type: string): boolean => type === "BF16" || Object.hasOwn(ggmlTypes, type);

const decode = ({ type }: AnyTensor, bytes: Uint8Array): Float32Array =>
  type === "BF16" ? toFloats(bytes, type) : decodeBlocks(type as GgmlType, bytes);

/** Values of a row; a vector's rows are its values. */
const widthOf = ({ shape }: AnyTensor): number => shape[1] ?? 1;

/** Whether rows are whole blocks. */
const canSlice = (tensor: AnyTensor): boolean => widthOf(tensor) % allTypes[tensor.type].values === 0;

function rowBytesOf(tensor: AnyTensor): number {
  const { values, bytes } = allTypes[tensor.type];
  return (widthOf(tensor) / values) * bytes;
}
