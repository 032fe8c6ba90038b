/**
 * The strict safetensors header reader. Grammar and rules: the format section of the safetensors README, and what the
 * official Rust reader (0.8.0) checks. Stricter than Rust, on purpose, in the classes that tests/io/mutants.test.ts lists.
 */
import { QuantError } from "../errors";
import { parseDtype, tensorBytes } from "./dtype";
import { Scanner } from "./scan";
import { sniff } from "./sniff";
import { decodeUtf8, shown } from "./text";
import type { Dtype, SourceFile, TensorInfo } from "./types";

/** The format allows 100 MB; the largest real header is far below 1 MB. */
export const HEADER_LIMIT = 25_000_000;

/** NumPy's limit too; without one a 25 MB header could hold a shape of 12 million dimensions. */
const MAX_RANK = 64;

/** The largest models have 100,000 tensors over all their files together; more only serve to cost seconds and memory. */
const MAX_TENSORS = 100_000;

const AGAIN = "Download the file again; it is incomplete or not a safetensors file.";

export interface Header {
  /** In the order of the data; start and end are bytes from the start of the file. */
  readonly tensors: TensorInfo[];
  /** The file's `__metadata__`, empty when it has none. */
  readonly metadata: Map<string, string>;
}

/** One tensor's three fields, in any order, each exactly once. Offsets are relative to the data section, as in the file. */
function readEntry(s: Scanner, name: string, fileName: string): TensorInfo {
  let dtype: Dtype | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  s.object((field) => {
    if (field === "dtype" && dtype === undefined) dtype = readDtype(s, name, fileName);
    else if (field === "shape" && shape === undefined) shape = s.integers(MAX_RANK);
    else if (field === "data_offsets" && offsets === undefined) offsets = s.integers(2);
    else s.fail(`the field "${shown(field)}" is unknown or given twice`);
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) return s.fail("dtype, shape or data_offsets is missing");
  if (offsets.length !== 2) s.fail("data_offsets must be two numbers");
  const [start, end] = offsets;
  const bytes = tensorBytes(dtype, shape);
  if (end - start !== bytes) s.fail(`${dtype} [${shape.slice(0, 8)}] takes ${bytes} bytes, but data_offsets are [${start}, ${end}]`);
  return { name, dtype, shape, start, end };
}

function readDtype(s: Scanner, name: string, fileName: string): Dtype {
  const given = s.string();
  const dtype = parseDtype(given);
  if (dtype === "foreign") {
    const where = `${shown(fileName)}, tensor ${shown(name)}: dtype ${given}`;
    throw new QuantError("unsupported-dtype", where, "Use a checkpoint stored as F16, BF16 or F32.");
  }
  return dtype ?? s.fail(`there is no dtype "${shown(given)}"`);
}

function readMetadata(s: Scanner): Map<string, string> {
  const metadata = new Map<string, string>();
  s.object((key) => {
    if (metadata.has(key)) s.fail(`the key "${shown(key)}" is given twice`);
    metadata.set(key, s.string());
  });
  return metadata;
}

/** Every byte of the data section must belong to exactly one tensor. */
function checkLayout(tensors: TensorInfo[], dataSize: number, fileName: string): void {
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = 0;
  let before: string | undefined;
  for (const t of tensors) {
    if (t.start !== at) {
      const what = t.start > at ? "a hole" : "an overlap";
      const where = `${shown(fileName)}: ${what} between ${before === undefined ? "the header" : shown(before)}, which ends at ${at}, and ${shown(t.name)}, which starts at ${t.start}`;
      throw new QuantError("bad-safetensors", where, "Download the file again, or ask whoever wrote it for a correct one.");
    }
    at = t.end;
    before = t.name;
  }
  if (at === dataSize) return;
  const where = `${shown(fileName)}: the header describes ${at} bytes of data, but the file holds ${dataSize}`;
  if (at > dataSize) throw new QuantError("truncated", where, "The download is incomplete; fetch the file again.");
  throw new QuantError("bad-safetensors", where, "There are bytes that belong to no tensor; download the file again.");
}

/**
 * Parses the JSON part of a safetensors file: `bytes` without the 8 length bytes; `fileSize` is the whole file's.
 * One pass, O(n log n) for the layout, no recursion. Throws bad-safetensors, header-too-large, truncated, unsupported-dtype.
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, fileName: string): Header {
  checkLength(bytes.length, fileSize, fileName);
  const s = new Scanner(decodeUtf8(bytes, fileName, "bad-safetensors"), fileName);
  const tensors = new Map<string, TensorInfo>();
  let metadata: Map<string, string> | undefined;
  s.object((name) => {
    s.context = name;
    if (name === "__metadata__" ? metadata : tensors.has(name)) s.fail("the name is given twice");
    if (tensors.size === MAX_TENSORS) s.fail(`there are more than ${MAX_TENSORS} tensors`);
    if (name === "__metadata__") metadata = s.takeNull() ? new Map() : readMetadata(s);
    else tensors.set(name, readEntry(s, name, fileName));
  });
  s.context = "";
  s.end();
  const dataStart = 8 + bytes.length;
  const list = [...tensors.values()];
  checkLayout(list, fileSize - dataStart, fileName);
  const inFile = list.map((t) => ({ ...t, start: t.start + dataStart, end: t.end + dataStart }));
  return { tensors: inFile, metadata: metadata ?? new Map() };
}

function checkLength(length: number, fileSize: number, fileName: string): void {
  // The file's size comes first: length bytes that say 2^63 mean another kind of file, not a large header.
  if (8 + length > fileSize) {
    throw new QuantError("truncated", `${shown(fileName)}: its header should take ${length} bytes, but the file has ${fileSize}`, AGAIN);
  }
  if (length > HEADER_LIMIT) {
    throw new QuantError(
      "header-too-large",
      `${shown(fileName)}: ${length} bytes`,
      "A real model's header is far smaller; do not trust it.",
    );
  }
}

/** Reads and checks a file's header; reads nothing else of the file. Throws as parseHeader, and what `file.read` throws. */
export async function readHeader(file: SourceFile): Promise<Header> {
  if (file.size < 8) throw new QuantError("truncated", `${shown(file.name)}: ${file.size} bytes, not even a header length`, AGAIN);
  const head = await file.read(0, 8);
  const view = new DataView(head.buffer, head.byteOffset, 8);
  // Above 2^53 this rounds, which is harmless: no file is that long.
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  // Eight bytes of text, taken for a length, exceed the size of any file.
  const other = 8 + length > file.size ? sniff(head) : null;
  if (other) throw new QuantError("bad-safetensors", `${shown(file.name)} is ${other.what}`, other.hint);
  checkLength(length, file.size, file.name);
  return parseHeader(await file.read(8, 8 + length), file.size, file.name);
}
