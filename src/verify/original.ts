/** The weights to compare with. */
import { QuantError } from "../errors";
import { isFloat, toFloats } from "../io/dtype";
import { shown } from "../io/text";
import type { Checkpoint } from "../model/checkpoint";
import { isPacked, readPacked } from "../model/packing";
import type { PackedMatrix } from "../ops/packed";
import { packedRows } from "./packed-rows";

/** Reads layers of a checkpoint, which may be packed itself, some rows at a time. */
export class Original {
  private packed: { name: string; matrix: Promise<PackedMatrix> } | null = null;

  constructor(readonly checkpoint: Checkpoint) {}

  /** [out, in] of a layer; undefined where the checkpoint has none of this name. */
  shapeOf(name: string): readonly [number, number] | undefined {
    const layer = this.checkpoint.layers.find((l) => l.name === name);
    if (layer) return layer.shape;
    const shape = this.tensorShape(`${name}.weight`);
    return shape?.length === 2 ? [shape[0], shape[1]] : undefined;
  }

  /** Rows [from, to). @throws QuantError what reading throws. */
  async rows(name: string, from: number, to: number): Promise<Float32Array> {
    const { shards, spec } = this.checkpoint;
    const packing = spec?.packing ?? null;
    const shape = this.shapeOf(name);
    if (!shape) throw new QuantError("missing-tensor", shown(name));
    if (isPacked(shards, packing, name)) {
      if (this.packed?.name !== name) this.packed = { name, matrix: readPacked(shards, name, shape, packing) };
      return packedRows(await this.packed.matrix)(from, to);
    }
    return this.floats(`${name}.weight`, { from, to });
  }

  /** A tensor of floats, or rows of it; null where it is not there. */
  async vector(name: string): Promise<Float32Array | null> {
    return this.has(name) ? this.floats(name) : null;
  }

  has(name: string): boolean {
    return this.checkpoint.shards.tensors.has(name);
  }

  /** Of a tensor of floats; undefined where there is none of this name. */
  tensorShape(name: string): readonly number[] | undefined {
    const tensor = this.checkpoint.shards.tensors.get(name);
    return tensor && isFloat(tensor.dtype) ? tensor.shape : undefined;
  }

  /** A tensor of floats, or rows of it. @throws QuantError what reading throws. */
  async floats(name: string, rows?: { from: number; to: number }): Promise<Float32Array> {
    const { shards } = this.checkpoint;
    return toFloats(await shards.readTensor(name, rows), shards.tensors.get(name)!.dtype);
  }
}
