/** The strict GGUF reader: header, metadata and tensor infos. Format: ggml's docs/gguf.md, version 3. */
import { QuantError } from "../../errors";
import { shown } from "../../io/text";
import type { SourceFile } from "../../io/types";
import { again, bad, HeaderReader, mostBytes, type ReadValue, Short } from "./header-reader";
import { type GgmlType, ggmlTypes, type TypeTraits } from "./types";

/** The types that a reader knows, by name. */
type Types<T extends string> = Readonly<Record<T, TypeTraits>>;

export interface GgufTensor<T extends string = GgmlType> {
  readonly name: string;
  readonly type: T;
  /** [out, in], as everywhere here; the file has them the other way round. */
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly start: number;
  readonly end: number;
}

export interface GgufHeader<T extends string = GgmlType> {
  readonly metadata: ReadonlyMap<string, ReadValue>;
  /** In the order of the file. */
  readonly tensors: readonly GgufTensor<T>[];
  /** Where the metadata lies, in bytes from the start of the file. */
  readonly metadataAt: { readonly start: number; readonly end: number };
}

export const magic = "GGUF";
export const version = 3;
export const defaultAlignment = 32;

const mostTensors = 100_000;
const mostKeys = 10_000;
const firstRead = 2 ** 20;

/** The header of a file whose tensors are of types that are written here. @throws as `readGgufOf`. */
export const readGguf = (file: SourceFile): Promise<GgufHeader> => readGgufOf(file, ggmlTypes);

/** The header of a file with tensors of these types. @throws QuantError `bad-file` naming what is wrong, `truncated` where the file ends before its header or data do. */
export async function readGgufOf<T extends string>(file: SourceFile, types: Types<T>): Promise<GgufHeader<T>> {
  for (let size = firstRead; ; size *= 4) {
    const end = Math.min(size, file.size, mostBytes);
    const header = parse(new HeaderReader(await file.read(0, end), file.name), file, types);
    if (header) return header;
    if (end === file.size) throw new QuantError("truncated", `${shown(file.name)} ends before its header does`, again);
    if (end === mostBytes) throw bad(file.name, `its header is longer than ${mostBytes} bytes`);
  }
}

/** null: more bytes are needed. */
function parse<T extends string>(reader: HeaderReader, file: SourceFile, types: Types<T>): GgufHeader<T> | null {
  try {
    return header(reader, file, types);
  } catch (e) {
    if (e instanceof Short) return null;
    throw e;
  }
}

function header<T extends string>(reader: HeaderReader, file: SourceFile, types: Types<T>): GgufHeader<T> {
  if (reader.ascii(4) !== magic) throw bad(file.name, "it does not begin with GGUF");
  const found = reader.u32();
  if (found !== version) throw bad(file.name, `it is version ${found}`);
  const tensorCount = reader.count("tensors", mostTensors);
  const keyCount = reader.count("keys", mostKeys);
  const start = reader.at;
  const metadata = new Map<string, ReadValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = reader.string();
    if (metadata.has(key)) throw bad(file.name, `the key ${shown(key)} is there twice`);
    metadata.set(key, reader.value(reader.u32()));
  }
  const metadataAt = { start, end: reader.at };
  const infos = Array.from({ length: tensorCount }, () => info(reader, file.name, types));
  return { metadata, metadataAt, tensors: placed(infos, reader.at, alignmentOf(metadata, file.name), file) };
}

function alignmentOf(metadata: ReadonlyMap<string, ReadValue>, name: string): number {
  const given = metadata.get("general.alignment") ?? defaultAlignment;
  if (typeof given !== "number" || given < 8 || given > 2 ** 16 || given & (given - 1))
    throw bad(name, "its alignment is no power of two from 8");
  return given;
}

interface Info<T> {
  name: string;
  type: T;
  shape: number[];
  offset: number;
  bytes: number;
}

function info<T extends string>(reader: HeaderReader, fileName: string, types: Types<T>): Info<T> {
  const name = reader.string();
  const dimensions = reader.u32();
  if (dimensions < 1 || dimensions > 4) throw bad(fileName, `${shown(name)} has ${dimensions} dimensions`);
  const shape = Array.from({ length: dimensions }, () => reader.u64()).reverse();
  const id = reader.u32();
  const type = (Object.keys(types) as T[]).find((name) => types[name].id === id);
  if (!type) throw bad(fileName, `${shown(name)} has the type ${id}, which is not written here`);
  const count = shape.reduce((a, b) => a * b, 1);
  const { values, bytes } = types[type];
  if (count === 0 || !Number.isSafeInteger(count) || shape[dimensions - 1] % values)
    throw bad(fileName, `${shown(name)} of type ${type} has the shape [${shape}]`);
  return { name, type, shape, offset: reader.u64(), bytes: (count / values) * bytes };
}

/** Tensors follow one another, each at the next aligned offset, so that none overlaps another and no byte belongs to nobody. */
function placed<T extends string>(infos: readonly Info<T>[], headerEnd: number, alignment: number, file: SourceFile): GgufTensor<T>[] {
  const up = (at: number) => Math.ceil(at / alignment) * alignment;
  const dataStart = up(headerEnd);
  const names = new Set<string>();
  let next = 0;
  const tensors = infos.map(({ name, type, shape, offset, bytes }) => {
    if (names.has(name)) throw bad(file.name, `the tensor ${shown(name)} is there twice`);
    names.add(name);
    if (offset !== next) throw bad(file.name, `${shown(name)} begins at ${offset}, where ${next} was to be expected`);
    next = up(offset + bytes);
    return { name, type, shape, start: dataStart + offset, end: dataStart + offset + bytes };
  });
  const end = dataStart + next;
  if (file.size < end)
    throw new QuantError("truncated", `${shown(file.name)} has ${file.size} bytes, and its header tells of ${end}`, again);
  if (file.size > end) throw bad(file.name, `${file.size - end} bytes at its end belong to no tensor`);
  return tensors;
}
