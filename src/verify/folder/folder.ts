/** A Hugging Face folder, or a safetensors file by itself. */

import { toFloats } from "../../io/dtype";
import type { Shards } from "../../io/types";
import { normNames } from "../../model/layers";
import { packedParts } from "../../model/packing";
import { Comparison } from "../compare";
import type { CheckJob } from "../job";
import { Original } from "../original";
import { checkSecondSettings, interpret, type Json, readConfig, type Said } from "./config";
import { checkTokenizerFiles, openFiles } from "./files";
import { checkValues, floatMatrix } from "./floats";
import { type PackedName, packedNames } from "./layers";
import { checkNames } from "./names";
import { checkGptq, concludeZeros, openPacked, packedMatrix, type Zeros } from "./packed";

export async function checkFolder(job: CheckJob): Promise<void> {
  job.title = "safetensors";
  const config = await readConfig(job);
  const named = config?.transformers_weights;
  const shards = await openFiles(job, typeof named === "string" ? named : undefined);
  if (!shards) return;
  job.tensors = shards.tensors.size;
  for (const { start, end } of shards.tensors.values()) job.total += end - start;
  const said = (config && interpret(job, config, shards)) ?? null;
  if (config) checkTokenizerFiles(job);
  if (said) await checkSecondSettings(job, said);
  await new FolderCheck(job, shards, said, isHalf(config)).run();
}

const isHalf = (config: Json | null): boolean => (config?.dtype ?? config?.torch_dtype) === "float16";

class FolderCheck {
  private readonly comparison: Comparison | null;
  private readonly original: Original | null;
  private readonly zeros: Zeros = { means: [], off: new Map() };

  constructor(
    private readonly job: CheckJob,
    private readonly shards: Shards,
    private readonly said: Said | null,
    private readonly isHalf: boolean,
  ) {
    this.original = job.original && new Original(job.original);
    this.comparison = this.original && new Comparison(job, this.original, (layer) => this.inputFactor(layer));
  }

  async run(): Promise<void> {
    const { job, shards, said } = this;
    const packed = said ? checkNames(job, said, shards, await this.names(said)) : [];
    const inLayers = new Set(packed.flatMap(({ name }) => packedParts(said!.packing!).map((part) => `${name}.${part}`)));
    const layers = new Map(packed.map((layer) => [layer.name, layer]));
    const done = new Set<string>();
    // In the order of the files, in which disks are read fastest.
    for (const tensor of shards.tensors.keys()) {
      const layer = layers.get(tensor.slice(0, tensor.lastIndexOf(".")));
      if (inLayers.has(tensor) && layer) {
        if (!done.has(layer.name)) await this.packedLayer(said!, layer);
        done.add(layer.name);
      } else await this.floats(tensor);
    }
    this.comparison?.conclude();
    if (said) concludeZeros(job, said, this.zeros);
  }

  private async names(said: Said): Promise<PackedName[]> {
    try {
      return await packedNames(said, this.shards);
    } catch (cause) {
      this.job.findings.failed(cause, this.job.source.label);
      return [];
    }
  }

  private async packedLayer(said: Said, layer: PackedName): Promise<void> {
    const { job, shards } = this;
    const matrix = await openPacked(job, said, shards, layer);
    if (!matrix) return;
    if (said.packing?.scheme === "gptq") checkGptq(job, said, shards, layer.name, matrix, this.zeros);
    await this.comparison?.layer(packedMatrix(said, layer.name, matrix));
  }

  private async floats(tensor: string): Promise<void> {
    const { job, shards, comparison, original } = this;
    const name = tensor.replace(/\.weight$/, "");
    const isLayer = name !== tensor && original?.checkpoint.layers.some((layer) => layer.name === name);
    const matrix = comparison && isLayer ? floatMatrix(job, shards, name, this.isHalf) : null;
    if (matrix) await comparison!.layer(matrix);
    else await checkValues(job, shards, tensor, this.isHalf);
  }

  /** What the file has of the norm before a layer, over the original's: AWQ divides a norm by what it multiplies the inputs of the layers after it by. */
  private async inputFactor(layer: string): Promise<Float32Array | null> {
    const [, block, kind] = /\.layers\.(\d+)\..*\.(\w+)$/.exec(layer) ?? [];
    if (kind === undefined || /^(o|down)_proj$/.test(kind)) return null;
    const names = normNames(Number(block));
    const name = /^(gate|up)_proj$/.test(kind) ? names.postAttention : names.input;
    const before = await this.original!.vector(name);
    const tensor = this.shards.tensors.get(name);
    if (!before || !tensor) return null;
    return factorOf(toFloats(await this.shards.readTensor(name), tensor.dtype), before);
  }
}

/** Null where the two are the same but for rounding to 16 bits. */
export function factorOf(now: Float32Array, before: Float32Array): Float32Array | null {
  if (now.length !== before.length) return null;
  const factor = Float32Array.from(now, (x, i) => (before[i] === 0 || !Number.isFinite(x / before[i]) ? 1 : x / before[i]));
  return factor.some((f) => Math.abs(f - 1) > 2 ** -7) ? factor : null;
}
