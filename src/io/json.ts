/** JSON files of a checkpoint, read with the care that files from strangers need. */
import { QuantError } from "../errors";
import { sniff } from "./sniff";
import { decodeUtf8, shown } from "./text";
import type { SourceFile } from "./types";

/** Real files nest about ten deep. Far deeper ones hold JSON.parse for tens of seconds (50 MB of "[": 22 s). */
const MAX_DEPTH = 200;

function bad(fileName: string, problem: string, cause?: unknown): QuantError {
  return new QuantError("bad-json", `${shown(fileName)}: ${problem}`, "Download the file again, or correct it by hand.", { cause });
}

function checkDepth(bytes: Uint8Array, fileName: string): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (quoted) {
      if (c === 92) i++;
      else if (c === 34) quoted = false;
    } else if (c === 34) quoted = true;
    else if (c === 91 || c === 123) {
      if (++depth > MAX_DEPTH) throw bad(fileName, `nested more than ${MAX_DEPTH} deep`);
    } else if (c === 93 || c === 125) depth--;
  }
}

/** Own keys called `__proto__` would change a prototype when someone copies them; no real file has them. */
function parse(text: string): unknown {
  const suspect = /__proto__|\\u005f/i.test(text);
  return suspect ? JSON.parse(text, (key, value) => (key === "__proto__" ? undefined : value)) : JSON.parse(text);
}

/** Strings (so that nothing inside them is matched), numbers, and the words that Python writes for NaN and infinity, which JSON lacks. */
const tokens = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const pythonWord = /^(-?Infinity|NaN)$/;
const mark = "\\u0000";

/** Like Python's json module: NaN, Infinity and -Infinity are numbers. */
function parsePython(text: string): unknown {
  const marked = text.replace(tokens, (token) => (pythonWord.test(token) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (key, value) => {
    if (key === "__proto__") return undefined;
    return typeof value === "string" && /^\0(-?Infinity|NaN)$/.test(value) ? Number(value.slice(1)) : value;
  });
}

/** Parses JSON, Python's NaN and Infinity included. Throws SyntaxError. */
export function parseLoose(text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!/NaN|Infinity/.test(text)) throw cause;
    return parsePython(text);
  }
}

/** Parses JSON bytes, Python's NaN and Infinity included. Throws `bad-json` naming the file. Keys called `__proto__` are dropped. */
export function parseJson(bytes: Uint8Array, fileName: string): unknown {
  const other = sniff(bytes.subarray(0, 200));
  if (other) throw new QuantError("bad-json", `${shown(fileName)} is ${other.what}`, other.hint);
  checkDepth(bytes, fileName);
  const text = decodeUtf8(bytes, fileName, "bad-json");
  try {
    return parseLoose(text);
  } catch (cause) {
    throw bad(fileName, shown(cause instanceof Error ? cause.message : String(cause)), cause);
  }
}

/** Reads a whole JSON file of at most `capBytes`. Throws `bad-json` (too large, not UTF-8, not JSON) and what reading throws. */
export async function readJson(file: SourceFile, capBytes: number): Promise<unknown> {
  if (file.size > capBytes) throw bad(file.name, `${file.size} bytes, more than the ${capBytes} that such a file may have`);
  return parseJson(await file.read(0, file.size), file.name);
}

/**
 * Like `parseJson`, but a number that JavaScript would write differently (a whole number written as "10000.0", NaN, Infinity) becomes a marked string,
 * which `writeJson` writes as it was. Python tells 30.0 from 30, and transformers' checked configs refuse the second where they expect a float.
 */
export function parseJsonKept(bytes: Uint8Array, fileName: string): unknown {
  const plain = parseJson(bytes, fileName);
  if (typeof plain !== "object") return plain;
  // A NUL in the file itself must not pass for our mark. No real config has one.
  const source = decodeUtf8(bytes, fileName, "bad-json").replace(/\\u0000/gi, "\\ufffd");
  const text = source.replace(tokens, (token) => (isKept(token) ? `"${mark}${token}"` : token));
  return parse(text);
}

const isKept = (token: string) =>
  pythonWord.test(token) || (!token.startsWith('"') && String(Number(token)) !== token && Number.isInteger(Number(token)));

/** The bytes of a JSON file that holds `value`, with the numbers that `parseJsonKept` marked as they were written. */
export function writeJson(value: unknown): Uint8Array {
  const text = JSON.stringify(value, null, 2).replace(/"\\u0000(-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"/g, "$1");
  return new TextEncoder().encode(`${text}\n`);
}
