import { QuantError } from "../errors";
import { toFloats } from "../io/dtype";
import { letEventsIn } from "../io/turn";
import type { Dtype } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import { pointsInto } from "../ops/packed";
import type { Coded } from "../quant/coded";
import type { Histogram, LayerFacts } from "../results/facts";

const bins = 64;

/** Shape and weight histograms of a layer in the checkpoint and, in the same bins, as a run left it. @throws QuantError `missing-tensor`. */
export async function layerFacts({ shards }: Checkpoint, layer: Coded | null, name: string): Promise<LayerFacts> {
  const info = shards.tensors.get(`${name}.weight`);
  if (info?.shape.length !== 2) throw new QuantError("missing-tensor", name);
  const before = valuesOfFloats(await shards.readTensor(info.name), info.dtype, info.shape[0]);
  const largest = (await largestOf(before)) || 1;
  return {
    name,
    shape: [info.shape[0], info.shape[1]],
    before: await histogramOf(before, largest),
    after: layer && (await histogramOf(valuesOfLayer(layer), largest)),
  };
}

/** A matrix that is read some rows at a time. */
interface Values {
  rows: number;
  read(from: number, to: number): Float32Array | Float64Array;
}

/** Rows between which other events are let in: a layer of a large model takes most of a second, and the page may ask for something else meanwhile. */
const rowsAtOnce = 256;

async function* slicesOf({ rows, read }: Values): AsyncGenerator<Float32Array | Float64Array> {
  for (let from = 0; from < rows; from += rowsAtOnce) {
    yield read(from, Math.min(rows, from + rowsAtOnce));
    await letEventsIn();
  }
}

async function largestOf(values: Values): Promise<number> {
  let largest = 0;
  for await (const slice of slicesOf(values)) largest = Math.max(largest, largestIn(slice));
  return largest;
}

function largestIn(values: Float32Array | Float64Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
}

/** Values in bins from −largest to largest. */
async function histogramOf(values: Values, largest: number): Promise<Histogram> {
  const histogram = { low: -largest, high: largest, counts: new Array<number>(bins).fill(0) };
  for await (const slice of slicesOf(values)) count(slice, histogram);
  return histogram;
}

function count(values: Float32Array | Float64Array, { low, high, counts }: Histogram): void {
  for (let i = 0; i < values.length; i++) counts[Math.min(bins - 1, Math.max(0, Math.floor(((values[i] - low) / (high - low)) * bins)))]++;
}

function valuesOfFloats(bytes: Uint8Array, dtype: Dtype, rows: number): Values {
  const perRow = bytes.length / rows;
  return { rows, read: (from, to) => toFloats(bytes.subarray(from * perRow, to * perRow), dtype) };
}

/** ŵ of every weight. */
function valuesOfLayer(layer: Coded): Values {
  const [rows, n] = layer.shape;
  if (layer.kind === "dense") return valuesOfFloats(new Uint8Array(layer.words.buffer), "F16", rows);
  const between = (from: number, to: number) => Uint32Array.from({ length: to - from }, (_, i) => from + i);
  return { rows, read: (from, to) => pointsInto(new Float64Array((to - from) * n), layer, between(from, to)) };
}
