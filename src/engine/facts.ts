import { QuantError } from "../errors";
import { toFloats } from "../io/dtype";
import type { Checkpoint } from "../model/checkpoint";
import { pointOf } from "../ops/grid-kinds";
import { codesOf } from "../ops/packed";
import { type Coded, valuesOf } from "../quant/coded";
import type { Histogram, LayerFacts } from "../results/facts";

const bins = 64;

/** Shape and weight histograms of a layer in the checkpoint and, in the same bins, as a run left it. @throws QuantError `missing-tensor`. */
export async function layerFacts({ shards }: Checkpoint, layer: Coded | null, name: string): Promise<LayerFacts> {
  const info = shards.tensors.get(`${name}.weight`);
  if (info?.shape.length !== 2) throw new QuantError("missing-tensor", name);
  const weights = toFloats(await shards.readTensor(info.name), info.dtype);
  const largest = weights.reduce((m, w) => Math.max(m, Math.abs(w)), 0) || 1;
  const range = { low: -largest, high: largest };
  return {
    name,
    shape: [info.shape[0], info.shape[1]],
    before: histogramOf(weights, range),
    after: layer && histogramOf(values(layer), range),
  };
}

function histogramOf(values: Iterable<number>, { low, high }: { low: number; high: number }): Histogram {
  const counts = new Array<number>(bins).fill(0);
  for (const w of values) counts[Math.min(bins - 1, Math.max(0, Math.floor(((w - low) / (high - low)) * bins)))]++;
  return { low, high, counts };
}

/** ŵ of every weight, one after the other. */
function* values(layer: Coded): Generator<number> {
  if (layer.kind === "dense") {
    yield* valuesOf(layer);
    return;
  }
  const [out, n] = layer.shape;
  const size = (out * n) / layer.scales.length;
  const codes = codesOf(layer);
  for (let i = 0; i < codes.length; i++) {
    const g = Math.floor(i / size);
    yield pointOf(layer.gridKind, layer.scales[g], layer.zeros[g], codes[i]);
  }
}
