import { givenAs, QuantError, throwIfCancelled } from "../errors";
import { findBeyondF16, findNonFinite } from "../io/dtype";
import { readJson } from "../io/json";
import { openShards } from "../io/shards";
import { findFile } from "../io/source";
import type { Shards, Source } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/coded";
import type { RunPlan } from "../quant/layer-plan";
import { pieces } from "./layout";
import { pieceBytes } from "./piece-bytes";
import { isWeight } from "./range";

/**
 * Reads a written checkpoint back with the strict reader: every tensor has its dtype and shape, is byte for byte what the run measured or the source holds,
 * and what a client multiplies with is finite in the dtype that config.json names.
 * @throws QuantError `verify-failed` naming the tensor.
 */
export async function verifyCheckpoint(
  written: Source,
  model: Checkpoint,
  plan: RunPlan,
  quantized: QuantizedModel,
  signal?: AbortSignal,
): Promise<void> {
  const shards = await givenAs("output", () => openShards(written));
  const list = pieces(model, plan, { replaced: quantized.replaced, wide: quantized.beyondF16 });
  for (const { spec } of list) {
    const tensor = shards.tensors.get(spec.name);
    if (!tensor || tensor.dtype !== spec.dtype || tensor.shape.join() !== spec.shape.join())
      throw failed(spec.name, "is missing or has another shape");
  }
  if (shards.tensors.size !== list.length) throw failed(written.label, `holds ${shards.tensors.size} tensors instead of ${list.length}`);
  const isHalf = await saysFloat16(written);
  for (const piece of list) {
    throwIfCancelled(signal);
    const check = isWeight(piece.spec.name)
      ? (bytes: Uint8Array) => checkValues(piece.spec.name, bytes, piece.spec.dtype, isHalf)
      : () => {};
    await compare(shards, piece.spec.name, pieceBytes(piece, model, quantized, plan.recipe), check);
  }
}

async function saysFloat16(written: Source): Promise<boolean> {
  const config = findFile(written, "config.json");
  if (!config) throw failed(written.label, "has no config.json");
  const json = (await givenAs("output", () => readJson(config, 2 ** 20))) as { torch_dtype?: unknown; dtype?: unknown };
  return (json.dtype ?? json.torch_dtype) === "float16";
}

function checkValues(name: string, bytes: Uint8Array, dtype: Parameters<typeof findNonFinite>[1], isHalf: boolean): void {
  if (findNonFinite(bytes, dtype)) throw failed(name, "holds NaN or infinity");
  if (isHalf && findBeyondF16(bytes, dtype)) throw failed(name, "becomes infinite in the float16 that config.json names");
}

/** In the pieces in which it was written. */
async function compare(
  shards: Shards,
  name: string,
  expected: AsyncIterable<Uint8Array>,
  check: (bytes: Uint8Array) => void,
): Promise<void> {
  const { file, start, end } = shards.tensors.get(name)!;
  let at = start;
  for await (const part of expected) {
    if (at + part.length > end) throw failed(name, `has ${end - start} bytes, which are too few`);
    const bytes = await givenAs("output", () => file.read(at, at + part.length));
    if (!areEqual(bytes, part)) throw failed(name, "does not read back as it was written");
    check(bytes);
    at += part.length;
  }
  if (at !== end) throw failed(name, `has ${end - start} bytes instead of ${at - start}`);
}

/** A loop, because `some` calls a function for each of billions of bytes. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}

const failed = (where: string, detail: string) =>
  new QuantError("verify-failed", `${where} ${detail}`, "Export again, to another disk if it happens twice.");
