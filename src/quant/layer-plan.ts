import type { LinearLayer, Stage } from "../model/layers";
import type { GridKind } from "../ops/grid-kinds";
import type { GridSpec } from "../ops/ops";
import type { AlphaChoice, MethodId, MethodOptions, Recipe } from "../recipe/recipe";
import type { TensorType } from "../recipe/types";

/** All settings of one layer, so that nothing asks the recipe again. */
export interface LayerPlan extends LinearLayer {
  readonly method: MethodId;
  /** The options of all methods. A method reads its own and those that it borrows (recipe/methods.ts). */
  readonly options: MethodOptions;
  readonly grid: GridSpec & { kind: GridKind };
  /** GGUF’s type of this grid, where the recipe asked for one. */
  readonly type: TensorType | null;
  /** α as the recipe gives it. */
  readonly alpha: number;
  /** Who decides α. A rule that names α for the layer settles it. */
  readonly choice: AlphaChoice;
  /** QEP's λ = damp · mean(diag H); null: auto. */
  readonly damp: number | null;
}

/** The embeddings, or the head: a table of one row for each token, which is rounded to nearest. */
export interface TablePlan {
  /** Without ".weight". */
  readonly name: string;
  /** [vocabulary, hidden] */
  readonly shape: readonly [number, number];
  readonly type: TensorType;
  readonly grid: GridSpec & { kind: GridKind };
}

/** What a recipe does to a checkpoint, settled before any work. */
export interface RunPlan {
  readonly recipe: Recipe;
  /** Blocks of the model, and how many of them are quantized, counting from the first. */
  readonly blocks: number;
  readonly quantizedBlocks: number;
  /** The layers that are quantized, in the order in which a run comes to them. */
  readonly layers: readonly LayerPlan[];
  /** Embeddings and head, where they are rounded too. */
  readonly tables: readonly TablePlan[];
  /** Windows are kept out of H and C, for a choice of α. */
  readonly holdsOut: boolean;
}

/** The plans of the layers of one stage. */
export const stageLayers = ({ layers }: RunPlan, block: number, stage: Stage): LayerPlan[] =>
  layers.filter((l) => l.block === block && (stage.kinds as readonly string[]).includes(l.kind));

/** Layers by method, in order of first use. */
export function byMethod<L extends { readonly method: MethodId }>(layers: readonly L[]): Map<MethodId, L[]> {
  const groups = new Map<MethodId, L[]>();
  for (const layer of layers) groups.set(layer.method, [...(groups.get(layer.method) ?? []), layer]);
  return groups;
}

/** How many groups a row has. */
export const groupsOf = ([, n]: readonly [number, number], { groupSize }: GridSpec): number => (groupSize < 0 ? 1 : n / groupSize);
