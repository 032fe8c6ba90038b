import { QuantError, throwIfCancelled } from "../errors";
import { dtypeBytes, findBeyondF16, findNonFinite, toF16 } from "../io/dtype";
import { shown } from "../io/text";
import type { Shards } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import { pointOf } from "../ops/grid-kinds";
import { codesOf } from "../ops/packed";
import type { PackedLayer, QuantizedModel, StoredLayer } from "../quant/stored";
import type { Recipe } from "../recipe/recipe";
import { formats, type Piece, pieces } from "./layout";

/** What a client multiplies with; buffers under other names (a mask of −∞) are no weights. */
export const isWeight = (name: string) => /\.(weight|bias)$/.test(name);
const scanBytes = 8 * 2 ** 20;

/**
 * Names of the tensors that f16 cannot hold, found before anything is written. The dense format keeps them in f32, and its config says float32; a packed
 * one, whose clients compute in f16, refuses.
 * @throws QuantError `weight-overflow` or `non-finite-weights`, naming tensor, place and value.
 */
export async function beyondF16(
  list: readonly Piece[],
  model: Checkpoint,
  quantized: QuantizedModel,
  recipe: Recipe,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const made = madeBeyond(quantized);
  for (const [name, found] of made) refuse(name, found, recipe);
  return new Set([...made.keys(), ...(await copiesBeyond(list, model, recipe, signal)).keys()]);
}

/** The part of `beyondF16` that is known before a run. @throws as `beyondF16`. */
export async function checkCopies(model: Checkpoint, recipe: Recipe, signal?: AbortSignal): Promise<void> {
  await copiesBeyond(pieces(model, recipe), model, recipe, signal);
}

async function copiesBeyond(list: readonly Piece[], model: Checkpoint, recipe: Recipe, signal?: AbortSignal): Promise<Map<string, Found>> {
  const wide = new Map<string, Found>();
  for (const { spec, part, replaced } of list) {
    if (part || replaced) continue;
    const found = await knownOr(model, spec.name, () => copiedBeyond(spec.name, model, signal));
    // An unknown architecture keeps its own dtype, so nothing that is copied is rounded.
    if (!found || (!model.spec && Number.isFinite(found.value))) continue;
    refuse(spec.name, found, recipe);
    wide.set(spec.name, found);
  }
  return wide;
}

function refuse(name: string, found: Found, recipe: Recipe): void {
  if (!Number.isFinite(found.value)) throw nonFinite(name, found);
  if (formats[recipe.format].packed) throw overflow(name, found);
}

/** As `beyondF16`, of what the run made: tensor name and first such value. */
export function madeBeyond({ layers, replaced }: QuantizedModel): Map<string, Found> {
  const made = [
    ...[...layers.values()].map((layer) => [`${layer.name}.weight`, layerBeyond(layer)] as const),
    ...[...replaced].map(([name, values]) => [name, valuesBeyond(values)] as const),
  ];
  return new Map(made.filter((entry): entry is readonly [string, Found] => entry[1] !== null));
}

interface Found {
  index: number;
  value: number;
}

/** @throws QuantError `weight-overflow` where the recipe's format cannot hold this layer. */
export function checkPackedRange(layer: StoredLayer, recipe: Recipe): void {
  const found = formats[recipe.format].packed && layerBeyond(layer);
  if (found) throw overflow(`${layer.name}.weight`, found);
}

/** A layer has several pieces and is looked at once. */
const cache = new WeakMap<StoredLayer, { found: Found | null }>();

/** The first ŵ that rounds to infinity in f16. */
function layerBeyond(layer: StoredLayer): Found | null {
  // Words of f16 that were finite when they were stored.
  if (layer.kind === "dense") return null;
  const known = cache.get(layer);
  if (known) return known.found;
  const found = packedBeyond(layer);
  cache.set(layer, { found });
  return found;
}

function packedBeyond(layer: PackedLayer): Found | null {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const point = (at: number, code: number) => pointOf(layer.gridKind, layer.scales[at], layer.zeros[at], code);
  const ends = [0, 2 ** layer.bits - 1];
  for (let o = 0; o < out; o++) {
    const suspects = Array.from({ length: groups }, (_, g) => o * groups + g).filter((at) =>
      ends.some((code) => !Number.isFinite(toF16(point(at, code)))),
    );
    if (!suspects.length) continue;
    const codes = codesOf(layer, o, o + 1);
    for (let i = 0; i < n; i++) {
      const at = o * groups + Math.floor((i * groups) / n);
      const value = point(at, codes[i]);
      if (!Number.isFinite(toF16(value))) return { index: o * n + i, value };
    }
  }
  return null;
}

function valuesBeyond(values: Float32Array): Found | null {
  const index = values.findIndex((x) => !Number.isFinite(toF16(x)));
  return index < 0 ? null : { index, value: values[index] };
}

/** The files of an open checkpoint do not change, and every new α asks again. */
const scanned = new WeakMap<Shards, Map<string, Found | null>>();

async function knownOr({ shards }: Checkpoint, name: string, scan: () => Promise<Found | null>): Promise<Found | null> {
  const known = scanned.get(shards) ?? new Map<string, Found | null>();
  scanned.set(shards, known);
  const found = known.has(name) ? known.get(name)! : await scan();
  known.set(name, found);
  return found;
}

/** A tensor that goes into the export as it is, a few megabytes at a time. */
async function copiedBeyond(name: string, model: Checkpoint, signal?: AbortSignal): Promise<Found | null> {
  const { file, start, end, dtype } = model.shards.tensors.get(name)!;
  if (!isWeight(name)) return null;
  for (let at = start; at < end; at += scanBytes) {
    throwIfCancelled(signal);
    const bytes = await file.read(at, Math.min(end, at + scanBytes));
    const bad = findNonFinite(bytes, dtype);
    const found = bad ? { index: bad.index, value: Number.NaN } : findBeyondF16(bytes, dtype);
    if (found) return { ...found, index: found.index + (at - start) / dtypeBytes[dtype] };
  }
  return null;
}

const nonFinite = (name: string, { index }: Found) =>
  new QuantError(
    "non-finite-weights",
    `${shown(name)} is NaN or infinite at index ${index}`,
    "The checkpoint is damaged: download it again.",
  );

const overflow = (name: string, { index, value }: Found) =>
  new QuantError(
    "weight-overflow",
    `${shown(name)} holds ${Number(value.toPrecision(6))} at index ${index}, and clients of packed files compute in f16 (65504 at most)`,
    "Use the dense format, which keeps such a tensor in f32.",
  );
