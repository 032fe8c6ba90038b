import { version } from "../../package.json";
import { QuantError, throwIfCancelled } from "../errors";
import { formats, type Piece, pieces, plannedLayers } from "../export/layout";
import { checkCopies } from "../export/range";
import { specBytes } from "../io/writer";
import { type Checkpoint, census, loadTensor } from "../model/checkpoint";
import { blockCount } from "../model/generic";
import type { LinearLayer } from "../model/layers";
import { elements, type Ops } from "../ops/ops";
import { gridSpec } from "../quant/quantizer";
import { roundToNearest } from "../quant/rtn";
import { type StoredLayer, store } from "../quant/stored";
import { isBase, type Recipe, recipeTitle } from "../recipe/recipe";
import { settingsOf } from "../recipe/rules";
import { parseRecipe } from "../recipe/schema";
import type { PlanSummary } from "../results/plan";
import type { LayerReport } from "../results/report";
import { squaredErrors } from "./growth";
import { bitsPerWeight, checkRules } from "./plan";
import { type Emit, Progress } from "./progress";
import type { RunResult } from "./run";

/** What rounding holds on the device at once: W, its codes, Ŵ. */
const copies = 3;

/**
 * Rounds a checkpoint of an unknown architecture to nearest, layer by layer: without a forward pass there is nothing to calibrate on, so an error is that
 * of the weights, ‖W − Ŵ‖² / ‖W‖². @throws QuantError as `checkUncalibrated`; `cancelled` between two layers.
 */
export async function runUncalibrated(
  ops: Ops,
  checkpoint: Checkpoint,
  recipe: Recipe,
  emit: Emit,
  signal?: AbortSignal,
): Promise<RunResult> {
  checkUncalibrated(checkpoint, recipe);
  const started = performance.now();
  ops.resetPeak();
  const scope = ops.scope();
  const reports: LayerReport[] = [];
  const stored = new Map<string, StoredLayer>();
  const layers = chosen(checkpoint, recipe);
  const blocks = blockCount(checkpoint.layers);
  const progress = new Progress(sizeOf(layers), emit);
  emit({ type: "start", blocks, quantizedBlocks: Math.min(recipe.blocks ?? blocks, blocks) });
  emit({
    type: "log",
    level: "warning",
    message: `${recipeTitle(recipe)}: nothing is calibrated. A layer's error is that of its weights.`,
  });
  try {
    await checkCopies(checkpoint, recipe, signal);
    for (const layer of layers) {
      throwIfCancelled(signal);
      const report = await roundLayer(ops, checkpoint, layer, recipe, stored);
      reports.push(report);
      emit({ type: "layer", layer: report });
      progress.add(elements(layer.shape), layer.name);
    }
  } finally {
    scope.end();
  }
  progress.finish("Done");
  const ms = performance.now() - started;
  const told = { blocks: [], layers: reports, ms, streamMs: 0, peakGpuBytes: ops.peakBytes };
  return {
    report: { version, recipe, adapter: ops.adapter.description, ...told },
    quantized: { layers: stored, replaced: new Map() },
  };
}

async function roundLayer(
  ops: Ops,
  checkpoint: Checkpoint,
  { name, kind, block }: LinearLayer,
  recipe: Recipe,
  stored: Map<string, StoredLayer>,
): Promise<LayerReport> {
  const started = performance.now();
  const spec = gridSpec(settingsOf(recipe, name));
  const W = await loadTensor(ops, checkpoint, `${name}.weight`);
  const { codes, grid } = roundToNearest(W, spec, ops);
  const rounded = ops.decode(codes, grid);
  const [{ difference, reference }] = await squaredErrors(ops, [[ops.squaredDifference(W, rounded)]]);
  stored.set(name, await store(ops, name, { codes, grid, damping: [], fallback: null }, spec));
  ops.free(W, codes, grid.scales, grid.zeros, rounded);
  return {
    name,
    kind,
    block,
    method: "rtn",
    bits: spec.bits,
    alpha: 0,
    relativeError: reference > 0 ? difference / reference : 0,
    damping: [],
    retries: 0,
    curve: null,
    heldOut: null,
    outliers: [],
    fallback: null,
    ms: performance.now() - started,
  };
}

/** What a run would take. @throws QuantError as `checkUncalibrated`. */
export async function planUncalibrated(ops: Ops, checkpoint: Checkpoint, recipe: Recipe): Promise<PlanSummary> {
  checkUncalibrated(checkpoint, recipe);
  const layers = [...plannedLayers(checkpoint, recipe).values()];
  return {
    bytesIn: census(checkpoint).bytes,
    bytesOut: pieces(checkpoint, recipe).reduce((sum, piece: Piece) => sum + specBytes(piece.spec), 0),
    bitsPerWeight: bitsPerWeight(layers),
    quantizedWeights: sizeOf(layers),
    tokens: 0,
    windows: 0,
    heldOutWindows: 0,
    peakGpuBytes: 4 * copies * layers.reduce((most, l) => Math.max(most, elements(l.shape)), 0),
    seconds: (sizeOf(layers) * (await msPerWeight(ops))) / 1000,
    streamKept: false,
    warnings: [],
    notes: formats[recipe.format].notes(recipe, checkpoint),
  };
}

/** Of a small matrix, the second time: the first compiles kernels. */
async function msPerWeight(ops: Ops): Promise<number> {
  const side = 256;
  const W = ops.zeros([side, side]);
  const once = async () => {
    const started = performance.now();
    const { codes, grid } = roundToNearest(W, { bits: 4, groupSize: -1, symmetric: false }, ops);
    await ops.read([grid.scales]);
    ops.free(codes, grid.scales, grid.zeros);
    return performance.now() - started;
  };
  await once();
  const ms = await once();
  ops.free(W);
  return ms / side ** 2;
}

/** @throws QuantError `bad-recipe` for anything that needs a forward pass; `group-size`, `bad-rule`, `bad-format`. */
export function checkUncalibrated(checkpoint: Checkpoint, recipe: Recipe): void {
  parseRecipe(recipe);
  checkRules(recipe, checkpoint.layers);
  const methods = new Set(checkpoint.layers.map(({ name }) => settingsOf(recipe, name).method));
  if (!isBase(recipe) || methods.size > 1 || !methods.has("rtn") || recipe.rotation !== null)
    throw new QuantError(
      "bad-recipe",
      `${checkpoint.architecture} cannot be run here, so nothing can be calibrated`,
      "Use RTN with α 0 and no rotation.",
    );
  for (const { name, shape } of chosen(checkpoint, recipe)) {
    const { groupSize } = settingsOf(recipe, name);
    if (groupSize > 0 && shape[1] % groupSize)
      throw new QuantError(
        "group-size",
        `${groupSize} does not divide the ${shape[1]} inputs of ${name}`,
        "Use another, or −1 (the whole row).",
      );
  }
  if (!chosen(checkpoint, recipe).length)
    throw new QuantError("bad-recipe", `the first ${recipe.blocks} blocks have no linear layer that can be told`, "Quantize more blocks.");
  pieces(checkpoint, recipe);
}

const chosen = ({ layers }: Checkpoint, { blocks }: Recipe): LinearLayer[] => layers.filter((l) => blocks === null || l.block < blocks);

const sizeOf = (layers: readonly { readonly shape: readonly number[] }[]): number =>
  layers.reduce((sum, { shape }) => sum + elements(shape), 0);
