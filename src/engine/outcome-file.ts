import { onSuperBlocks, partsOf, pointsOf, type SuperMatrix } from "../ops/super-matrix";
import type { Coded, PackedLayer } from "../quant/coded";
import type { BlockOutcome, OutcomeReport } from "./outcome";

/** Where an array of numbers stands in the file, in bytes. */
interface ArrayPlace {
  array: keyof typeof arrays;
  at: number;
  bytes: number;
}

const arrays = { Int8Array, Uint8Array, Uint16Array, Uint32Array, Float32Array };
type NumberArray = Int8Array | Uint8Array | Uint16Array | Uint32Array | Float32Array;

/** A block's outcome as it is kept in memory: the arrays of its layers stay in the file. */
export interface OutcomeHead {
  index: number;
  layers: { name: string; fields: Record<string, unknown> }[];
  replaced: [name: string, values: ArrayPlace][];
  /** Values as strings: JSON has no infinity. */
  beyondF16: [name: string, index: number, value: string][];
  report: OutcomeReport;
}

/** Arrays begin at multiples of this. */
const alignment = 8;

/**
 * A block's outcome as a file: the length of a JSON head (8 bytes, little-endian), the head, then the arrays that it points to.
 */
export function writeOutcome({ index, layers, replaced, beyondF16, report }: BlockOutcome): { head: OutcomeHead; parts: Uint8Array[] } {
  const data: Uint8Array[] = [];
  let at = 0;
  const place = (values: NumberArray): ArrayPlace => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const start = at;
    const padding = (alignment - (bytes.length % alignment)) % alignment;
    data.push(bytes, new Uint8Array(padding));
    at += bytes.length + padding;
    return { array: values.constructor.name as keyof typeof arrays, at: start, bytes: bytes.length };
  };
  const head: OutcomeHead = {
    index,
    layers: layers.map((layer) => ({
      name: layer.name,
      fields: Object.fromEntries(Object.entries(compact(layer)).map(([key, value]) => [key, isArray(value) ? place(value) : value])),
    })),
    replaced: [...replaced].map(([name, values]) => [name, place(values)]),
    beyondF16: [...beyondF16].map(([name, { index: i, value }]) => [name, i, String(value)]),
    report,
  };
  const json = new TextEncoder().encode(JSON.stringify(head));
  const start = new Uint8Array(Math.ceil((8 + json.length) / alignment) * alignment);
  new DataView(start.buffer).setBigUint64(0, BigInt(json.length), true);
  start.set(json, 8);
  return { head, parts: [start, ...data] };
}

/** Of super-blocks, the small integers instead of S and M, which are their products: a fifth of the bytes. */
function compact(layer: Coded): Record<string, unknown> {
  if (layer.kind === "dense" || !onSuperBlocks(layer)) return { ...layer };
  const { scales: _, zeros: __, ...rest } = layer;
  return { ...rest, ...partsOf(layer) };
}

function whole(fields: Record<string, unknown>): Coded {
  if (!("s" in fields)) return fields as unknown as Coded;
  const { s, m, ...layer } = fields as unknown as PackedLayer & SuperMatrix & { s: Int8Array; m: Int8Array };
  return { ...layer, ...pointsOf(layer.gridKind, layer.factors, { s, m }) };
}

const isArray = (value: unknown): value is NumberArray => Object.values(arrays).some((type) => value instanceof type);

/** Bytes [start, end) of the file. */
type Read = (start: number, end: number) => Promise<Uint8Array>;

export interface OpenedOutcome {
  head: OutcomeHead;
  /** Where the arrays begin. */
  dataStart: number;
}

/** Reads a file's head, and no arrays. @throws what `read` throws. */
export async function openOutcome(read: Read): Promise<OpenedOutcome> {
  const length = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(await read(8, 8 + length))) as OutcomeHead;
  return { head, dataStart: Math.ceil((8 + length) / alignment) * alignment };
}

/** @throws what `read` throws. */
export async function readLayer({ head, dataStart }: OpenedOutcome, name: string, read: Read): Promise<Coded | null> {
  const layer = head.layers.find((l) => l.name === name);
  if (!layer) return null;
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(layer.fields)) fields[key] = isPlace(value) ? await readArray(value, dataStart, read) : value;
  return whole(fields);
}

/** Norm weights and biases that a scale was folded into, by tensor name. @throws what `read` throws. */
export async function readReplaced({ head, dataStart }: OpenedOutcome, read: Read): Promise<[string, Float32Array][]> {
  const found: [string, Float32Array][] = [];
  for (const [name, place] of head.replaced) found.push([name, (await readArray(place, dataStart, read)) as Float32Array]);
  return found;
}

const isPlace = (value: unknown): value is ArrayPlace => typeof value === "object" && value !== null && "array" in value && "at" in value;

async function readArray({ array, at, bytes }: ArrayPlace, dataStart: number, read: Read): Promise<NumberArray> {
  const data = await read(dataStart + at, dataStart + at + bytes);
  return new arrays[array](data.buffer as ArrayBuffer);
}
