/** Tensors of two Hugging Face folders, compared byte by byte. */
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** @typedef {{ file: string, dtype: string, from: number, length: number }} Place */

/** @param {string} file @param {number} from @param {number} length */
function bytesOf(file, from, length) {
  const bytes = Buffer.alloc(length);
  const handle = openSync(file, "r");
  try {
    for (let at = 0; at < length; ) {
      const got = readSync(handle, bytes, at, length - at, from + at);
      if (got === 0) throw new Error(`${file} ends early`);
      at += got;
    }
  } finally {
    closeSync(handle);
  }
  return bytes;
}

/** Where each tensor of a folder lies. @param {string} folder @returns {Map<string, Place>} */
export function tensorsOf(folder) {
  /** @type {Map<string, Place>} */
  const places = new Map();
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".safetensors"))) {
    const file = join(folder, name);
    const length = Number(bytesOf(file, 0, 8).readBigUInt64LE());
    const { __metadata__, ...header } = JSON.parse(bytesOf(file, 8, length).toString("utf8"));
    for (const [
      tensor,
      {
        dtype,
        data_offsets: [from, to],
      },
    ] of Object.entries(header))
      places.set(tensor, { file, dtype, from: 8 + length + from, length: to - from });
  }
  return places;
}

/**
 * How many 16-bit weights of a block there are, and how many differ between the folders. One that lacks a tensor, or has it in another form, throws.
 * @param {string} ours
 * @param {string} theirs
 * @param {number} block
 */
export function compareBlock(ours, theirs, block) {
  const [a, b] = [tensorsOf(ours), tensorsOf(theirs)];
  const names = [...a.keys()].filter((name) => name.startsWith(`model.layers.${block}.`));
  let [weights, different] = [0, 0];
  for (const name of names) {
    const [mine, other] = [a.get(name), b.get(name)];
    if (!mine || !other || mine.dtype !== other.dtype || mine.length !== other.length) throw new Error(`${name} is not the same tensor`);
    const [x, y] = [mine, other].map(({ file, from, length }) => bytesOf(file, from, length));
    weights += x.length / 2;
    if (x.equals(y)) continue;
    for (let i = 0; i < x.length; i += 2) if (x[i] !== y[i] || x[i + 1] !== y[i + 1]) different++;
  }
  return { weights, different };
}
