import type { Ops, Tensor } from "../ops/ops";
import { restore } from "../ops/packed";
import { type LayerKind, layerKinds } from "../recipe/recipe";
import { loadTensor, type Model } from "./checkpoint";
import { layerName, layerShape, normNames } from "./layers";
import { isPacked, readPacked } from "./packing";
import type { ModelSpec } from "./spec";

/** One block's tensors on the device. */
export interface Block {
  readonly index: number;
  readonly norms: { input: Tensor; postAttention: Tensor; q?: Tensor; k?: Tensor };
  readonly weights: Readonly<Record<LayerKind, Tensor>>;
  readonly biases: Readonly<Partial<Record<LayerKind, Tensor>>>;
}

/** Names of the tensors of a block in the order in which they are loaded, where the checkpoint's layers are not packed. */
export function blockTensors({ biases, qkNorm }: ModelSpec, index: number): string[] {
  const { input, postAttention, q, k } = normNames(index);
  const norms = qkNorm ? [input, postAttention, q, k] : [input, postAttention];
  const biased = layerKinds.filter((kind) => biases.has(kind));
  return [
    ...norms,
    ...biased.map((kind) => `${layerName(index, kind)}.bias`),
    ...layerKinds.map((kind) => `${layerName(index, kind)}.weight`),
  ];
}

/** A block of which only those weights are on the device that are in use: a 7B's are 810 MB in f32. Norms and biases are there throughout. */
export class LoadedBlock implements Block {
  private readonly loaded: Partial<Record<LayerKind, Tensor>> = {};

  private constructor(
    private readonly ops: Ops,
    private readonly model: Model,
    readonly index: number,
    readonly norms: Block["norms"],
    readonly biases: Partial<Record<LayerKind, Tensor>>,
  ) {}

  /** Loads norms and biases. */
  static async open(ops: Ops, model: Model, index: number): Promise<LoadedBlock> {
    const names = normNames(index);
    const norms: Block["norms"] = {
      input: await loadTensor(ops, model, names.input),
      postAttention: await loadTensor(ops, model, names.postAttention),
    };
    if (model.spec.qkNorm) {
      norms.q = await loadTensor(ops, model, names.q);
      norms.k = await loadTensor(ops, model, names.k);
    }
    const biases: Partial<Record<LayerKind, Tensor>> = {};
    for (const kind of layerKinds)
      if (model.spec.biases.has(kind)) biases[kind] = await loadTensor(ops, model, `${layerName(index, kind)}.bias`);
    return new LoadedBlock(ops, model, index, norms, biases);
  }

  /** The weights that are loaded. */
  get weights(): Readonly<Record<LayerKind, Tensor>> {
    return this.loaded as Record<LayerKind, Tensor>;
  }

  /** Loads weights that are not there yet. */
  async load(kinds: readonly LayerKind[] = layerKinds): Promise<void> {
    for (const kind of kinds) this.loaded[kind] ??= await this.layer(kind);
  }

  /** Frees weights. */
  drop(kinds: readonly LayerKind[] = layerKinds): void {
    for (const kind of kinds) {
      const tensor = this.loaded[kind];
      if (tensor) this.ops.free(tensor);
      delete this.loaded[kind];
    }
  }

  /** Puts another tensor in the place of a weight, which is freed before the new one is made. */
  setWeight(kind: LayerKind, make: () => Tensor): void {
    this.drop([kind]);
    this.loaded[kind] = make();
  }

  /** Puts another tensor in the place of a norm, which is freed. */
  setNorm(which: "input" | "postAttention", tensor: Tensor): void {
    this.ops.free(this.norms[which]);
    this.norms[which] = tensor;
  }

  /** Puts another tensor in the place of a bias, which is freed. */
  setBias(kind: LayerKind, tensor: Tensor): void {
    const before = this.biases[kind];
    if (before) this.ops.free(before);
    this.biases[kind] = tensor;
  }

  free(): void {
    this.drop();
    this.ops.free(...Object.values(this.norms), ...Object.values(this.biases));
  }

  /** A layer's weights as floats; packed ones are unpacked on the device. */
  private async layer(kind: LayerKind): Promise<Tensor> {
    const { ops, model } = this;
    const { spec, shards } = model;
    const name = layerName(this.index, kind);
    const { packing } = spec;
    if (!isPacked(shards, packing, name)) return loadTensor(ops, model, `${name}.weight`);
    return restore(ops, await readPacked(shards, name, layerShape(spec, kind), packing));
  }
}
