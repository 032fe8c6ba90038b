/** A Hugging Face folder, or a safetensors file by itself. */

import { isFloat, toFloats } from "../../io/dtype";
import type { Shards } from "../../io/types";
import { ownTensors } from "../../model/checkpoint";
import { headName } from "../../model/layers";
import { packedParts } from "../../model/packing";
import { Comparison } from "../compare";
import type { CheckJob } from "../job";
import { compareNetworks, configNames } from "../network";
import { checkSecondSettings, interpret, type Json, readConfig, type Said } from "./config";
import { checkTokenizerFiles, openFiles } from "./files";
import { checkValues, floatMatrix, floatTensor } from "./floats";
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
  const spec = said?.spec;
  if (spec) await compareNetworks(job, { spec, hasHead: !spec.tied || shards.tensors.has(headName), names: configNames });
  await new FolderCheck(job, shards, said, isHalf(config)).run();
}

const isHalf = (config: Json | null): boolean => (config?.dtype ?? config?.torch_dtype) === "float16";

class FolderCheck {
  private readonly comparison: Comparison | null;
  /** The original's tensors beside the linear layers, and biases that only the file has. */
  private readonly own: ReadonlySet<string>;
  private readonly zeros: Zeros = { means: [], off: new Map() };

  constructor(
    private readonly job: CheckJob,
    private readonly shards: Shards,
    private readonly said: Said | null,
    private readonly isHalf: boolean,
  ) {
    this.comparison = job.original && new Comparison(job, job.original, (name) => this.vector(name));
    const spec = job.original?.spec;
    const biases = new Set([...(spec?.biases ?? []), ...(said?.spec?.biases ?? [])]);
    this.own = spec ? ownTensors({ ...spec, biases }).add(headName) : new Set();
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
    const { job, shards, comparison } = this;
    const name = tensor.replace(/\.weight$/, "");
    const isLayer = name !== tensor && job.original?.layers.some((layer) => layer.name === name);
    const matrix = comparison && isLayer ? floatMatrix(job, shards, name, this.isHalf) : null;
    const other = comparison && !matrix && this.isCompared(tensor) ? floatTensor(job, shards, tensor, this.isHalf) : null;
    if (matrix) await comparison!.layer(matrix);
    else if (other) await comparison!.other(other);
    else await checkValues(job, shards, tensor, this.isHalf);
  }

  /** Beside the linear layers: what is in the forward pass or, where that is not known, every matrix. */
  private isCompared(tensor: string): boolean {
    const { spec } = this.job.original!;
    if (!spec) return this.shards.tensors.get(tensor)!.shape.length > 1;
    return this.own.has(tensor);
  }

  /** Whole, by its name in the original; null where there is none. */
  private async vector(name: string): Promise<Float32Array | null> {
    const tensor = this.shards.tensors.get(name);
    return tensor && isFloat(tensor.dtype) ? toFloats(await this.shards.readTensor(name), tensor.dtype) : null;
  }
}
