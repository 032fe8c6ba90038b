import { QuantError } from "../../errors";
import type { Checkpoint } from "../../model/checkpoint";
import { type GridKind, gridKinds } from "../../ops/grid-kinds";
import type { Beyond, Coded, PackedLayer } from "../../quant/coded";
import type { LayerPlan, RunPlan } from "../../quant/layer-plan";
import type { FormatId, Recipe } from "../../recipe/recipe";
import type { Container, EntrySpec } from "../containers/container";

/** What is to be exported. */
export interface ExportJob {
  readonly model: Checkpoint;
  readonly plan: RunPlan;
  readonly changes: RunChanges;
}

/** What is known of a run's tensors only once it has finished, by their names. */
export interface RunChanges {
  /** Those that the run changed without quantizing them. */
  readonly replaced: { has(name: string): boolean };
  /** Those that f16 cannot hold. */
  readonly wide: { has(name: string): boolean; readonly size: number };
}

/** One tensor of an export. Everything but its bytes is known before any work. */
export interface Entry {
  readonly spec: EntrySpec;
  /** The tensor of the source whose values it holds; null where the run, or the format, makes them. */
  readonly copies: string | null;
  /** Its bytes, in pieces. */
  bytes(parts: Parts): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Where an entry's bytes come from. Asked for layer after layer, so that each is read once for all of its entries. */
export interface Parts {
  /** A quantized layer by its name. */
  layer(name: string): Promise<Coded>;
  /** What a fold made of the source's tensor. */
  folded(name: string): Float32Array;
  /** The source's tensor as it is, a few megabytes at a time, in multiples of `unit` bytes. */
  copy(name: string, unit?: number): AsyncIterable<Uint8Array>;
}

/** Whether a client multiplies with this tensor; buffers under other names (such as a mask of −∞) are not weights. */
export const isWeight = (name: string) => /\.(weight|bias)$/.test(name);

/** An export format: the plug-in contract of this folder. */
export interface Format {
  /** Holds layers on grids only. */
  readonly packed: boolean;
  /** The library that loads it, as the Hub names it; without it, transformers; null where the Hub has no name. */
  readonly library?: string | null;
  /** The number format that weights are converted to which the run did not make; without it, or undefined, they stay as in the source. */
  othersIn?(recipe: Recipe): string | undefined;
  /** Whether it has a place for weights that f16 cannot hold; without it, it has none. Layers on grids are refused by packed formats all the same. */
  holdsBeyondF16?(recipe: Recipe): boolean;
  /** A number of a layer's, other than ŵ, that f16 cannot hold though the file has it in f16; its place is that of the first weight that it is for. */
  beyondF16?(layer: PackedLayer): Beyond | null;
  /** Its files are the whole model: no config.json, and nothing else of the source is copied beside them. */
  readonly selfContained?: boolean;
  /** Whether it has a place for embeddings and a head that the run rounded. */
  readonly holdsTables?: boolean;
  /** Whether it can hold layers on grids of this kind. */
  accepts(kind: GridKind): boolean;
  /** @throws QuantError `bad-format` when it cannot hold these layers, or needs all of the model's and these are not (`whole` is false). */
  check(layers: readonly LayerPlan[], recipe: Recipe, whole: boolean): void;
  /** Bits that a weight of this layer takes, scales included; absent: its code, and its share of its group's scale and zero. */
  bitsPerWeight?(layer: LayerPlan): number;
  /** Every entry, in the order of the files. */
  entries(job: ExportJob): Entry[];
  /** The kind of file that they go into. @throws QuantError where the checkpoint's small files do not have what that must say. */
  container(job: ExportJob): Promise<Container>;
  /** JSON files beside it, by name. */
  files(job: ExportJob): Record<string, unknown> | Promise<Record<string, unknown>>;
  /** Sentences about which clients can load this model's export, shown beside the choice of format. */
  notes(recipe: Recipe, model: Pick<Checkpoint, "spec" | "config">): string[];
}

/** @throws QuantError `bad-format` naming the first layer whose kind of grid the format cannot hold. */
export function checkKinds(name: FormatId, { accepts }: Format, layers: Iterable<LayerPlan>): void {
  for (const layer of layers)
    if (!accepts(layer.grid.kind))
      throw new QuantError(
        "bad-format",
        `${layer.name} would be on a grid with ${gridKinds[layer.grid.kind].label}, and the ${name} format has no place for them`,
        "Use the dense format, or another kind of grid.",
      );
}
