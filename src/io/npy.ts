/** NumPy's .npy files of token ids. Format: numpy.lib.format, versions 1.0, 2.0, 3.0. */
import { QuantError } from "../errors";
import { shown } from "./text";

export interface NpyArray {
  /** One or two dimensions, row-major. */
  readonly shape: number[];
  readonly data: Int32Array;
}

const widths: ReadonlyMap<string, number> = new Map([
  ["<i4", 4],
  ["<u4", 4],
  ["<i8", 8],
  ["<u2", 2],
]);

function bad(name: string, problem: string): QuantError {
  return new QuantError("bad-file", `${shown(name)}: ${problem}`, "Save token ids with numpy.save as int32, one or two dimensions.");
}

/** The header text and where the data starts. */
function splitHeader(bytes: Uint8Array, name: string): { text: string; dataStart: number } {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || magic.some((m, i) => bytes[i] !== m)) throw bad(name, "it is not a .npy file");
  const major = bytes[6];
  if (major < 1 || major > 3) throw bad(name, `.npy version ${major}.${bytes[7]} is unknown`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerStart = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataStart = headerStart + length;
  if (length > 65536 || dataStart > bytes.length) throw bad(name, `its header should take ${length} bytes`);
  return { text: String.fromCharCode(...bytes.subarray(headerStart, dataStart)), dataStart };
}

/** The shape from a Python tuple such as `(3, 4)` or `(12,)`. */
function readShape(tuple: string, name: string): number[] {
  const parts = tuple.split(",").map((p) => p.trim());
  if (parts.at(-1) === "") parts.pop();
  const shape = parts.map(Number);
  const fits = parts.every((p) => /^\d{1,10}$/.test(p)) && (shape.length === 1 || shape.length === 2);
  if (!fits) throw bad(name, `its shape is (${shown(tuple)})`);
  return shape;
}

function readDict(text: string, name: string): { descr: string; shape: number[] } {
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const tuple = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || tuple === undefined) throw bad(name, "its header is malformed");
  if (!widths.has(descr)) throw bad(name, `its type is "${shown(descr)}"`);
  if (order === "True") throw bad(name, "it is stored in Fortran order");
  return { descr, shape: readShape(tuple, name) };
}

/**
 * Parses a little-endian, C-order .npy of int32, int64, uint16 or uint32 with one or two dimensions.
 * Throws `bad-file` for anything else, and for values that do not fit an int32.
 */
export function parseNpy(bytes: Uint8Array, name: string): NpyArray {
  const { text, dataStart } = splitHeader(bytes, name);
  const { descr, shape } = readDict(text, name);
  const count = shape.reduce((a, b) => a * b, 1);
  const width = widths.get(descr)!;
  const found = bytes.length - dataStart;
  if (count * width !== found) throw bad(name, `${shape.join(" x ")} values take ${count * width} bytes, but the file has ${found}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataStart, found);
  const data = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const value = readValue(view, descr, i);
    data[i] = value;
    if (data[i] !== value) throw bad(name, `value ${value} at position ${i} is not a token id`);
  }
  return { shape, data };
}

function readValue(view: DataView, descr: string, i: number): number {
  if (descr === "<i4") return view.getInt32(4 * i, true);
  if (descr === "<u4") return view.getUint32(4 * i, true);
  if (descr === "<u2") return view.getUint16(2 * i, true);
  return Number(view.getBigInt64(8 * i, true));
}
