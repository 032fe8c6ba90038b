import type { Ops, Tensor } from "../../src/ops/ops";
import type { PackedLayer } from "../../src/quant/coded";
import { inverseFactor, settled } from "../../src/quant/factor";
import type { QuantizedLayer, StageView } from "../../src/quant/quantizer";
import { quantizers } from "../../src/quant/registry";
import type { Recipe } from "../../src/recipe/recipe";
import type { Finished } from "./engine";

const absent = (): never => {
  throw new Error("this stage has no chunks");
};

/** The stage with the factor that its method asks for. */
export async function factored(ops: Ops, recipe: Recipe, stage: StageView): Promise<StageView> {
  const wanted = quantizers[recipe.method].factor?.(recipe);
  return wanted ? { ...stage, factor: await inverseFactor(ops, stage.H!, settled(wanted, stage.H!.shape[0], stage.tokens)) } : stage;
}

/** A stage of one layer with given statistics, for methods that look at nothing else. */
export function stageOf(recipe: Recipe, weight: Tensor, H: Tensor | null, C: Tensor | null = null, rest: Tensor | null = null): StageView {
  const { bits, groupSize, symmetric } = recipe;
  const layers = [{ kind: "q_proj" as const, name: "layer", weight, grid: { bits, groupSize, symmetric }, rest }];
  return {
    block: 0,
    layers,
    H,
    diagonal: null,
    C,
    factor: null,
    tokens: 10 * weight.shape[1],
    length: 1,
    chunks: 0,
    x: absent,
    moduleOutput: absent,
    hold: absent,
    foldable: false,
  };
}

/** The layer, known to be on a grid. */
export function onGrid(layer: QuantizedLayer) {
  if (!("codes" in layer)) throw new Error("the layer is on no grid");
  return layer;
}

/** A run's layers, all of them known to be packed. */
export async function packed({ quantized, plan }: Finished): Promise<PackedLayer[]> {
  const layers: PackedLayer[] = [];
  for (const { name } of plan.layers) {
    const layer = await quantized.layer(name);
    if (layer?.kind !== "packed") throw new Error(`${name} is not packed`);
    layers.push(layer);
  }
  return layers;
}
