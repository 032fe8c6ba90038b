import { givenAs, QuantError, throwIfCancelled } from "../errors";
import { findBeyondF16, findNonFinite } from "../io/dtype";
import { readJson } from "../io/json";
import { findFile } from "../io/source";
import type { Dtype, Source } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/coded";
import type { RunPlan } from "../quant/layer-plan";
import type { WrittenEntry } from "./containers/container";
import { entriesOf, formats } from "./entries";
import { isWeight } from "./formats/format";
import { partsOf } from "./parts";
import { finishedJob } from "./range";

/**
 * Reads a written checkpoint back with the strict reader: every tensor has its dtype and shape, is byte for byte what the run measured or the source holds,
 * and what a client multiplies with is finite in the dtype that config.json names. Returns how much was compared.
 * @param read is called with the bytes of each piece.
 * @throws QuantError `verify-failed` naming the tensor.
 */
export async function verifyCheckpoint(
  written: Source,
  model: Checkpoint,
  plan: RunPlan,
  quantized: QuantizedModel,
  signal?: AbortSignal,
  read: (bytes: number) => void = () => {},
): Promise<{ tensors: number; bytes: number }> {
  const job = await finishedJob(model, plan, quantized, signal);
  const container = await formats[plan.recipe.format].container(job);
  const found = await givenAs("output", () => container.open(written));
  const entries = entriesOf(job);
  for (const { spec } of entries) {
    const entry = found.get(spec.name);
    if (!entry || entry.dtype !== spec.dtype || entry.shape.join() !== spec.shape.join())
      throw failed(spec.name, "is missing or has another shape");
  }
  if (found.size !== entries.length) throw failed(written.label, `holds ${found.size} tensors instead of ${entries.length}`);
  const isHalf = !formats[plan.recipe.format].selfContained && (await saysFloat16(written));
  const parts = partsOf(model, quantized);
  let bytes = 0;
  for (const entry of entries) {
    throwIfCancelled(signal);
    const { name, dtype } = entry.spec;
    const check = (part: Uint8Array) => {
      throwIfCancelled(signal);
      if (isWeight(name)) checkValues(name, part, dtype as Dtype, isHalf);
      bytes += part.length;
      read(part.length);
    };
    await compareEntry(found.get(name)!, name, entry.bytes(parts), check);
  }
  return { tensors: entries.length, bytes };
}

async function saysFloat16(written: Source): Promise<boolean> {
  const config = findFile(written, "config.json");
  if (!config) throw failed(written.label, "has no config.json");
  const json = (await givenAs("output", () => readJson(config, 2 ** 20))) as { torch_dtype?: unknown; dtype?: unknown };
  return (json.dtype ?? json.torch_dtype) === "float16";
}

function checkValues(name: string, bytes: Uint8Array, dtype: Dtype, isHalf: boolean): void {
  if (findNonFinite(bytes, dtype)) throw failed(name, "holds NaN or infinity");
  if (isHalf && findBeyondF16(bytes, dtype)) throw failed(name, "becomes infinite in the float16 that config.json names");
}

/** Compares an entry piece by piece, as it was written. */
async function compareEntry(
  entry: WrittenEntry,
  name: string,
  expected: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  check: (bytes: Uint8Array) => void,
): Promise<void> {
  let at = 0;
  for await (const part of expected) {
    if (at + part.length > entry.bytes) throw failed(name, `has ${entry.bytes} bytes, which are too few`);
    const bytes = await givenAs("output", () => entry.read(at, at + part.length));
    if (!areEqual(bytes, part)) throw failed(name, "does not read back as it was written");
    check(bytes);
    at += part.length;
  }
  if (at !== entry.bytes) throw failed(name, `has ${entry.bytes} bytes instead of ${at}`);
}

/** A loop, because `some` calls a function for each of billions of bytes. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

const failed = (where: string, detail: string) =>
  new QuantError("verify-failed", `${where} ${detail}`, "Export again, to another disk if it happens twice.");
