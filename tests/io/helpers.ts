import { QuantError } from "../../src/errors";
import { bytesFile } from "../../src/io/memory";
import type { Dtype, SourceFile } from "../../src/io/types";
import { layoutFile } from "../../src/io/writer";

/** The QuantError of a failing promise as "code: where"; anything else that is thrown, or success, fails the test. */
export async function failure(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (e) {
    if (e instanceof QuantError) return `${e.code}: ${e.where} | ${e.hint}`;
    throw e;
  }
  throw new Error("nothing was thrown");
}

/** A safetensors file from a raw header text. */
export function rawFile(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const out = new Uint8Array(8 + text.length + data);
  new DataView(out.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

/** A legal safetensors file with one-byte-pattern data: tensor i is filled with the byte i + 1. */
export function tensorFile(fileName: string, tensors: [name: string, dtype: Dtype, shape: number[]][]): SourceFile {
  const specs = tensors.map(([name, dtype, shape]) => ({ name, dtype, shape }));
  const { header, size } = layoutFile(specs);
  const out = new Uint8Array(size);
  out.set(header);
  let at = header.length;
  specs.forEach((s, i) => {
    const end = at + layoutFile([s]).size - layoutFile([s]).header.length;
    out.fill(i + 1, at, end);
    at = end;
  });
  return bytesFile(fileName, out);
}
