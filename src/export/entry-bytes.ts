import { QuantError } from "../errors";
import { toF16Words } from "../io/dtype";
import type { Checkpoint } from "../model/checkpoint";
import type { Coded, QuantizedModel } from "../quant/coded";
import type { Recipe } from "../recipe/recipe";
import { type Entry, formats } from "./entries";

const copyBytes = 8 * 2 ** 20;

/** The bytes of entries, which must be asked for in their order, so that a layer is read once for all of its entries. */
export class EntryBytes {
  private current: { name: string; parts: Generator<Uint8Array>[] } | null = null;

  constructor(
    private readonly model: Checkpoint,
    private readonly quantized: QuantizedModel,
    private readonly recipe: Recipe,
  ) {}

  /** The bytes of one entry, in parts: from the quantized layer, or copied from the source a few megabytes at a time. */
  async *of({ spec: { name }, source, isWide }: Entry): AsyncGenerator<Uint8Array> {
    switch (source.from) {
      case "layer":
        yield* (await this.parts(source.name, isWide))[source.index];
        break;
      case "fold": {
        const values = this.quantized.replaced.get(name)!;
        yield new Uint8Array(isWide ? values.slice().buffer : toF16Words(values).buffer);
        break;
      }
      case "source":
        yield* this.copy(name);
    }
  }

  private async parts(name: string, isWide: boolean): Promise<Generator<Uint8Array>[]> {
    if (this.current?.name !== name) {
      const layer: Coded | null = await this.quantized.layer(name);
      if (!layer) throw new QuantError("internal", `${name} was not quantized`, "Run it again.");
      this.current = { name, parts: formats[this.recipe.format].bytes(layer, isWide) };
    }
    return this.current.parts;
  }

  private async *copy(name: string): AsyncGenerator<Uint8Array> {
    const { file, start, end } = this.model.shards.tensors.get(name)!;
    // An empty tensor still has to be written once, or the writer would wait for it.
    if (start === end) yield new Uint8Array(0);
    for (let at = start; at < end; at += copyBytes) yield await file.read(at, Math.min(end, at + copyBytes));
  }
}
