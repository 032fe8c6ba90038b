import { QuantError, throwIfCancelled } from "../errors";
import { dtypeBytes, findBeyondF16, findNonFinite, isBeyondF16 } from "../io/dtype";
import { shown } from "../io/text";
import type { Shards } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import { pointOf, pointsOn } from "../ops/grid-kinds";
import { codesOf, type PackedMatrix } from "../ops/packed";
import type { Beyond, Coded, QuantizedModel } from "../quant/coded";
import type { RunPlan } from "../quant/layer-plan";
import type { Recipe } from "../recipe/recipe";
import { entriesOf, exportJob, formats } from "./entries";
import { type ExportJob, isWeight } from "./formats/format";

const scanBytes = 8 * 2 ** 20;

/**
 * Names of the tensors that f16 cannot hold, found before anything is written. The dense format keeps them in f32, and its config says float32; GGUF keeps
 * copies in f32; other packed ones, whose clients compute in f16, refuse.
 * @throws QuantError `weight-overflow` or `non-finite-weights`, naming tensor, place and value.
 */
export async function beyondF16(job: ExportJob, made: QuantizedModel["beyondF16"], signal?: AbortSignal): Promise<ReadonlySet<string>> {
  for (const [name, found] of made) refuse(name, found, job.plan.recipe);
  return new Set([...made.keys(), ...(await copiesBeyond(job, signal)).keys()]);
}

/** The export of a finished run. @throws as `beyondF16`. */
export async function finishedJob(model: Checkpoint, plan: RunPlan, quantized: QuantizedModel, signal?: AbortSignal): Promise<ExportJob> {
  const changes = { replaced: quantized.replaced, wide: new Set<string>() };
  const wide = await beyondF16(exportJob(model, plan, changes), quantized.beyondF16, signal);
  return exportJob(model, plan, { ...changes, wide });
}

/** Checks what can be checked before a run: the tensors that the export copies. @throws as `beyondF16`. */
export async function checkCopies(model: Checkpoint, plan: RunPlan, signal?: AbortSignal): Promise<void> {
  await copiesBeyond(exportJob(model, plan), signal);
}

async function copiesBeyond(job: ExportJob, signal?: AbortSignal): Promise<Map<string, Beyond>> {
  const { model, plan } = job;
  const wide = new Map<string, Beyond>();
  for (const { copies, spec } of entriesOf(job)) {
    if (copies === null) continue;
    const found = await knownOr(model, copies, () => copiedBeyond(copies, model, signal));
    // The config of an unknown architecture keeps its own dtype, so nothing is rounded that is not written as f16.
    if (!found || (!model.spec && spec.dtype !== "F16" && Number.isFinite(found.value))) continue;
    refuse(copies, found, plan.recipe);
    wide.set(copies, found);
  }
  return wide;
}

function refuse(name: string, found: Beyond, recipe: Recipe): void {
  if (!Number.isFinite(found.value)) throw nonFinite(name, found);
  if (!holdsBeyondF16(recipe)) throw overflow(name, found, recipe);
}

const holdsBeyondF16 = (recipe: Recipe) => formats[recipe.format].holdsBeyondF16?.(recipe) ?? false;

/** The tensors that a run made and f16 cannot hold, by name, each with the first such value. */
export function madeBeyondF16(layers: Iterable<Coded>, replaced: ReadonlyMap<string, Float32Array>): Map<string, Beyond> {
  const made = [
    ...[...layers].map((layer) => [`${layer.name}.weight`, layerBeyond(layer)] as const),
    ...[...replaced].map(([name, values]) => [name, valuesBeyond(values)] as const),
  ];
  return new Map(made.filter((entry): entry is readonly [string, Beyond] => entry[1] !== null));
}

/** @throws QuantError `weight-overflow` where the recipe's format cannot hold this layer. */
export function checkPackedRange(layer: Coded, recipe: Recipe): void {
  const { packed, beyondF16 } = formats[recipe.format];
  const found = (packed || !holdsBeyondF16(recipe)) && (layerBeyond(layer) ?? (layer.kind === "packed" && beyondF16?.(layer)));
  if (found) throw overflow(`${layer.name}.weight`, found, recipe);
}

/** The first ŵ of a layer that rounds to infinity in f16. A dense layer has none: `codeLayer` refuses it. */
const layerBeyond = (layer: Coded): Beyond | null => (layer.kind === "dense" ? null : packedBeyond(layer));

/** The first ŵ of a matrix, whose groups are in order, that rounds to infinity in f16. */
export function packedBeyond(layer: PackedMatrix): Beyond | null {
  const [out] = layer.shape;
  const groups = layer.scales.length / out;
  // Codes are unpacked only where an end of a group's grid is beyond.
  for (let o = 0; o < out; o++) {
    const found = groupsMayBeBeyond(layer, o * groups, (o + 1) * groups) && rowBeyond(layer, o);
    if (found) return found;
  }
  return null;
}

/** A plain loop, as a large layer has millions of groups. */
function groupsMayBeBeyond({ gridKind, scales, zeros, bits }: PackedMatrix, from: number, to: number): boolean {
  const point = pointsOn(gridKind);
  const last = 2 ** bits - 1;
  for (let at = from; at < to; at++)
    if (isBeyondF16(point(scales[at], zeros[at], 0)) || isBeyondF16(point(scales[at], zeros[at], last))) return true;
  return false;
}

function rowBeyond(layer: PackedMatrix, o: number): Beyond | null {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const codes = codesOf(layer, o, o + 1);
  for (let i = 0; i < n; i++) {
    const at = o * groups + Math.floor((i * groups) / n);
    const value = pointOf(layer.gridKind, layer.scales[at], layer.zeros[at], codes[i]);
    if (isBeyondF16(value)) return { index: o * n + i, value };
  }
  return null;
}

function valuesBeyond(values: Float32Array): Beyond | null {
  const index = values.findIndex(isBeyondF16);
  return index < 0 ? null : { index, value: values[index] };
}

/** What was found in each checkpoint's tensors, because every new α asks again and the files of an open checkpoint do not change. */
const scanned = new WeakMap<Shards, Map<string, Beyond | null>>();

async function knownOr({ shards }: Checkpoint, name: string, scan: () => Promise<Beyond | null>): Promise<Beyond | null> {
  const known = scanned.get(shards) ?? new Map<string, Beyond | null>();
  scanned.set(shards, known);
  const found = known.has(name) ? known.get(name)! : await scan();
  known.set(name, found);
  return found;
}

/** A tensor that goes into the export as it is, a few megabytes at a time. */
async function copiedBeyond(name: string, model: Checkpoint, signal?: AbortSignal): Promise<Beyond | null> {
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

const nonFinite = (name: string, { index }: Beyond) =>
  new QuantError(
    "non-finite-weights",
    `${shown(name)} is NaN or infinite at index ${index}`,
    "The checkpoint is damaged: download it again.",
  );

function overflow(name: string, { index, value }: Beyond, { format }: Recipe): QuantError {
  const held = `${shown(name)} holds ${Number(value.toPrecision(6))} at index ${index}`;
  return formats[format].packed
    ? new QuantError(
        "weight-overflow",
        `${held}, and clients of packed files compute in f16 (65504 at most)`,
        "Use the dense format, which keeps such a tensor in f32.",
      )
    : new QuantError("weight-overflow", `${held}, and f16 holds 65504 at most`, "Choose bf16, f32 or auto for dense weights.");
}
