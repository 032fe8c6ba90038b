/** A GGUF file: header, keys, tokenizer, tensors, and the order of q's and k's rows. */

import { asQuantError } from "../../errors";
import { placesOf } from "../../export/gguf/places";
import type { GgufTensor } from "../../export/gguf/reader";
import { bytesOf, type GgmlType, ggmlTypes } from "../../export/gguf/types";
import { convertFloats, findNonFinite, toFloats } from "../../io/dtype";
import type { ModelSpec } from "../../model/spec";
import { decodeBlocks, nonFiniteBlock } from "../../reopen/gguf/blocks";
import type { Shapes } from "../../reopen/gguf/network";
import { type AnyTensor, openParts, typesOf } from "../../reopen/gguf/parts";
import { Comparison } from "../compare";
import { factorOf } from "../folder/folder";
import type { CheckJob } from "../job";
import { Original } from "../original";
import { checkTokenizerKeys, networkOf } from "./keys";
import { ggufMatrix } from "./matrix";

const pieceBytes = 8 * 2 ** 20;
const canDecode = (type: string): type is GgmlType => Object.hasOwn(ggmlTypes, type);

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
  const spec = networkOf(job, metadata, shapes);
  checkTokenizerKeys(job, metadata, shapes);
  if (spec && !missing.length) checkNames(job, spec, shapes);
  await new TensorCheck(job, tensors).run();
}

function checkNames({ findings }: CheckJob, spec: ModelSpec, shapes: Shapes): void {
  const places = safely(() => placesOf(spec)) ?? [];
  const own = new Set(["rope_freqs.weight", ...places.map(({ name }) => name)]);
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
  private readonly original: Original | null;
  private readonly comparison: Comparison | null;
  /** Where a tensor is in the original, and how its rows are ordered. */
  private readonly places: ReadonlyMap<string, { layer: string; headDim: number; isTurned: boolean }>;
  private readonly byName: ReadonlyMap<string, AnyTensor>;

  constructor(
    private readonly job: CheckJob,
    private readonly tensors: readonly AnyTensor[],
  ) {
    this.byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const spec = job.original?.spec;
    const places = spec ? safely(() => placesOf(spec)) : null;
    this.original = places && new Original(job.original!);
    this.comparison = this.original && new Comparison(job, this.original, (layer) => this.inputFactor(layer));
    this.places = new Map(
      (places ?? [])
        .filter(({ shape, source }) => shape.length === 2 && /_proj\.weight$/.test(source))
        .map(({ name, source, headDim }) => [
          name,
          { layer: source.replace(/\.weight$/, ""), headDim: spec!.headDim, isTurned: headDim !== undefined },
        ]),
    );
    if (job.original && !places)
      job.findings.add("warning", "compared", "GGUF has no names for the original's layers: nothing is compared.");
  }

  async run(): Promise<void> {
    for (const tensor of this.tensors) {
      const place = this.places.get(tensor.name);
      if (!canDecode(tensor.type)) await this.otherTensor(tensor);
      else if (place && tensor.shape.length === 2)
        await this.comparison!.layer(ggufMatrix(place, { ...tensor, type: tensor.type }, (from, to) => this.rows(tensor, from, to)));
      else await this.values({ ...tensor, type: tensor.type });
    }
    this.comparison?.conclude();
  }

  /** Rows as they lie in the file. */
  private async rows(tensor: AnyTensor, from: number, to: number): Promise<Float32Array> {
    const type = tensor.type as GgmlType;
    const rowBytes = bytesOf(type, tensor.shape[1]);
    const bytes = await tensor.file.read(tensor.start + from * rowBytes, tensor.start + to * rowBytes);
    this.job.read(bytes.length, tensor.name);
    this.tell(tensor, nonFiniteBlock(type, bytes));
    return decodeBlocks(type, bytes);
  }

  private async values(tensor: AnyTensor & GgufTensor): Promise<void> {
    const unit = ggmlTypes[tensor.type].bytes;
    const step = Math.floor(pieceBytes / unit) * unit;
    let isTold = false;
    for (let at = tensor.start; at < tensor.end; at += step) {
      const to = Math.min(tensor.end, at + step);
      this.job.read(to - at, tensor.name);
      const bad = nonFiniteBlock(tensor.type, await tensor.file.read(at, to));
      if (!isTold) isTold = this.tell(tensor, bad);
    }
  }

  private tell({ name, type }: AnyTensor, bad: number): boolean {
    if (bad < 0) return false;
    if (type === "F32" || type === "F16") this.job.findings.join("error", "not-finite", "Weights are NaN or infinite.", name);
    else this.job.findings.join("error", "scales-not-finite", "Scales or offsets of blocks are NaN or infinite.", name);
    return true;
  }

  /** Of other programs' types only bf16 is looked into. */
  private async otherTensor({ name, type, start, end, file }: AnyTensor): Promise<void> {
    if (type !== "BF16") {
      this.job.read(end - start, name);
      return this.job.findings.join("warning", "unreadable", `Blocks of type ${type} are not unpacked here.`, name);
    }
    for (let at = start; at < end; at += pieceBytes) {
      const to = Math.min(end, at + pieceBytes);
      this.job.read(to - at, name);
      if (findNonFinite(await file.read(at, to), "BF16"))
        return this.job.findings.join("error", "not-finite", "Weights are NaN or infinite.", name);
    }
  }

  private async inputFactor(layer: string): Promise<Float32Array | null> {
    const [, block, kind] = /\.layers\.(\d+)\..*\.(\w+)$/.exec(layer) ?? [];
    if (kind === undefined || /^(o|down)_proj$/.test(kind)) return null;
    const isMlp = /^(gate|up)_proj$/.test(kind);
    const norm = this.byName.get(`blk.${block}.${isMlp ? "ffn_norm" : "attn_norm"}.weight`);
    const before = await this.original!.vector(`model.layers.${block}.${isMlp ? "post_attention_layernorm" : "input_layernorm"}.weight`);
    if (!norm || !before || (norm.type !== "F32" && norm.type !== "F16")) return null;
    const bytes = await norm.file.read(norm.start, norm.end);
    return factorOf(toFloats(convertFloats(bytes, norm.type, "F32"), "F32"), before);
  }
}
