/** What a way of packing layers must say of itself, and what the readers of all have in common. */
import { QuantError } from "../../errors";
import { findNonFinite, toFloats } from "../../io/dtype";
import { shown } from "../../io/text";
import type { Dtype, Shards } from "../../io/types";
import type { PackedMatrix } from "../../ops/packed";

export type Json = Record<string, unknown>;

/** A tensor of a packed layer as it must be. */
export interface PackedTensor {
  readonly shape: readonly number[];
  readonly dtypes: readonly Dtype[];
  /** It may be absent. */
  readonly optional?: true;
}

/** One way of packing. P: what its settings say, as plain data. */
export interface Scheme<P> {
  /** The last names of a packed layer's tensors. */
  readonly parts: readonly string[];
  /** Reads untrusted settings; null where they are another scheme's. @throws QuantError `unsupported-architecture` naming what cannot be read. */
  parse(settings: Json): P | null;
  /** For people: "GPTQ 4-bit, groups of 64". */
  title(packing: P): string;
  /** A packed [out, in] layer's tensors by their last names. @throws QuantError where those that are there contradict each other. */
  tensors(packing: P, shards: Shards, name: string, shape: readonly [number, number]): Readonly<Record<string, PackedTensor>>;
  /** Reads it, checked before. @throws QuantError `non-finite-weights`, `contradiction`. */
  read(packing: P, shards: Shards, name: string, shape: readonly [number, number]): Promise<PackedMatrix>;
}

export const floats: readonly Dtype[] = ["F32", "F16", "BF16"];

export const unsupported = (what: string) =>
  new QuantError(
    "unsupported-architecture",
    `quantization_config: ${what}`,
    "GPTQ, AWQ (GEMM), compressed-tensors (pack-quantized) and MLX (affine) of 2, 3, 4 or 8 bits can be opened; for anything else use the original checkpoint.",
  );

export const shownValue = (value: unknown) => shown(String(value)).slice(0, 40);

/** A bit width that can be read. */
export function bitsOf(value: unknown): number {
  if (value !== 2 && value !== 3 && value !== 4 && value !== 8) throw unsupported(`bits is ${shownValue(value)}`);
  return value;
}

/** Inputs that share a scale; −1: the whole row. */
export function groupSizeOf(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value === 0 || value < -1)
    throw unsupported(`group_size is ${shownValue(value)}`);
  return value;
}

/** "4-bit, groups of 64" for people; where layers differ, all that there is. */
export function gridTitle(bits: Iterable<number>, groupSizes: Iterable<number>): string {
  const sizes = [...new Set(groupSizes)].map((size) => (size < 0 ? "one scale per row" : `groups of ${size}`));
  return `${[...new Set(bits)].join(", ")}-bit, ${sizes.join(", ")}`;
}

/** The bit width, of those that the settings name, of rows of n codes in so many words. @throws QuantError `wrong-shape`. */
export function bitsIn(allowed: readonly number[], name: string, words: number, n: number): number {
  const fitting = allowed.filter((bits) => Math.ceil((n * bits) / 32) === words);
  if (fitting.length !== 1)
    throw new QuantError(
      "wrong-shape",
      `${shown(name)} has ${words} words a row, and ${n} codes of ${allowed.join(" or ")} bits do not settle that`,
      "Check that config.json belongs to these files.",
    );
  return fitting[0];
}

/** The columns of a tensor [out, columns]; 0 where it is absent or no matrix, which no check passes. */
export const columnsOf = (shards: Shards, name: string): number => shards.tensors.get(name)?.shape[1] ?? 0;

/** The number of groups of a row of n inputs. @throws QuantError `wrong-shape`. */
export function groupsIn(shards: Shards, name: string, n: number): number {
  const groups = columnsOf(shards, name);
  if (groups > 0 && n % groups === 0) return groups;
  throw new QuantError(
    "wrong-shape",
    `${shown(name)} has ${groups} groups a row, which do not divide its ${n} inputs`,
    "Check that config.json belongs to these files.",
  );
}

/** The bytes of a tensor as 32-bit words; checked to be I32 or U32 when the model was opened. */
export async function wordsOf(shards: Shards, name: string): Promise<Uint32Array> {
  return new Uint32Array(new Uint8Array(await shards.readTensor(name)).buffer);
}

/** A tensor's floats, and whether clients compute with them in f16. @throws QuantError `non-finite-weights`. */
export async function floatsOf(shards: Shards, name: string): Promise<{ values: Float32Array; half: boolean }> {
  const { dtype } = shards.tensors.get(name)!;
  const bytes = await shards.readTensor(name);
  const bad = findNonFinite(bytes, dtype);
  if (bad)
    throw new QuantError(
      "non-finite-weights",
      `${name} has ${bad.count} of them, the first at index ${bad.index}`,
      "The checkpoint is damaged: download it again.",
    );
  return { values: toFloats(bytes, dtype), half: dtype === "F16" };
}

/** [rows, columns] → [columns, rows]. */
export function transpose<T extends Uint32Array | Float32Array | Uint8Array>(data: T, rows: number, columns: number): T {
  const out = data.slice() as T;
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}
