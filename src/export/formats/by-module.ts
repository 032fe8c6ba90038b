/** Layers whose grids differ, as formats name them that give groups of modules settings of their own. */
import type { LayerPlan } from "../../quant/layer-plan";

/** Layers with the same bits and groups. */
export interface SameGrid {
  readonly layers: readonly LayerPlan[];
  /** What picks them out of all quantized layers. */
  readonly targets: readonly Target[];
}

/** All layers of a kind, or one layer by its name. */
export type Target = { readonly kind: string } | { readonly name: string };

/** One for each pair of bits and group size, in the layers' order. */
export function sameGrids(layers: readonly LayerPlan[]): SameGrid[] {
  const byGrid = new Map<string, LayerPlan[]>();
  for (const layer of layers) {
    const key = `${layer.grid.bits} ${layer.grid.groupSize}`;
    byGrid.set(key, [...(byGrid.get(key) ?? []), layer]);
  }
  return [...byGrid.values()].map((members) => ({ layers: members, targets: targetsOf(members, layers) }));
}

/** A kind where all of its layers belong here; the rest by name. */
function targetsOf(members: readonly LayerPlan[], all: readonly LayerPlan[]): Target[] {
  const count = (layers: readonly LayerPlan[], kind: string) => layers.filter((layer) => layer.kind === kind).length;
  const isWhole = (kind: string) => count(members, kind) === count(all, kind);
  const firsts = members.filter(({ kind }, at) => !isWhole(kind) || members.findIndex((other) => other.kind === kind) === at);
  return firsts.map(({ kind, name }) => (isWhole(kind) ? { kind } : { name }));
}
