import { QuantError } from "../../errors";
import type { Checkpoint } from "../../model/checkpoint";
import { type GridKind, gridKinds } from "../../ops/grid-kinds";
import type { Coded } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { Recipe } from "../../recipe/recipe";
import type { Container, EntrySpec } from "../containers/container";

/** What an export format makes of a quantized layer, and the kind of file that it goes into: the plug-in contract of this folder. */
export interface Format {
  readonly container: Container;
  /** Holds layers on grids only. */
  packed: boolean;
  /** Whether it can hold layers on grids of this kind. */
  accepts(kind: GridKind): boolean;
  /** The layer's tensors, known before any work. */
  tensors(layer: LayerPlan, wide: boolean): EntrySpec[];
  /** Their bytes, in the same order, each in pieces. `wide`: in f32, because f16 cannot hold them; never asked of a packed format. */
  bytes(layer: Coded, wide: boolean): Generator<Uint8Array>[];
  /** config.json of the export, from the source's; `wide`: some tensor needs f32. */
  config(source: Record<string, unknown>, recipe: Recipe, wide: boolean): Record<string, unknown>;
  /** Further JSON files beside it, by name. */
  files(recipe: Recipe): Record<string, unknown>;
  /** @throws QuantError `bad-format` when it cannot hold these layers, or needs all of the model's and these are not (`whole` is false). */
  check(layers: readonly LayerPlan[], recipe: Recipe, whole: boolean): void;
  /** Sentences about which clients can load this model's export, shown beside the choice of format. */
  notes(recipe: Recipe, model: Pick<Checkpoint, "spec" | "config">): string[];
}

/** @throws QuantError `bad-format` naming the first layer whose kind of grid the format cannot hold. */
export function checkKinds(name: string, { accepts }: Format, layers: Iterable<LayerPlan>): void {
  for (const layer of layers)
    if (!accepts(layer.grid.kind))
      throw new QuantError(
        "bad-format",
        `${layer.name} would be on a grid with ${gridKinds[layer.grid.kind].label}, and the ${name} format has no place for them`,
        "Use the dense format, or another kind of grid.",
      );
}

/** config.json with the dtype of what is written: clients that load in the config's dtype must not round f16 to bf16 again, nor f32 to f16. */
export function withDtype(source: Record<string, unknown>, dtype: "float16" | "float32"): Record<string, unknown> {
  const { quantization_config: _, dtype: __, ...rest } = source;
  return { ...rest, torch_dtype: dtype };
}
