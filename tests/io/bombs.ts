/** Files made to keep a reader busy for as long as their maker likes. Tests look at how they are refused, `npm run bench` at how soon. */
import { rawFile } from "./helpers";

/** A header of one tensor. */
export const entry = (fields: string) => `{"t":{${fields}}}`;

export const nested = (unit: string, bytes: number) => rawFile(unit.repeat(Math.floor(bytes / unit.length)));

export const overlapping = (n: number) =>
  rawFile(`{${Array.from({ length: n }, (_, i) => `"${i}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`).join()}}`, 1);

/** Headers, and how each is refused. */
export const bombs: readonly [title: string, make: () => Uint8Array, refusal: RegExp][] = [
  ["24 MB of [", () => nested("[", 24e6), /^bad-safetensors/],
  ['24 MB of {"a":', () => nested('{"a":', 24e6), /^bad-safetensors/],
  ['24 MB of {"a":[', () => nested('{"a":[', 24e6), /^bad-safetensors/],
  ["50 MB of [", () => nested("[", 50e6), /^header-too-large: m.safetensors: 50000000 bytes/],
  ["a million overlapping entries", () => overlapping(1e6), /^header-too-large/],
  ["as many of them as fit into the limit", () => overlapping(400_000), /^bad-safetensors: .*more than 100000 tensors/],
  ["as many of them as are allowed", () => overlapping(100_000), /^bad-safetensors: .*an overlap/],
  [
    "a shape of 12 million dimensions",
    () => rawFile(entry(`"dtype":"U8","shape":[${"1,".repeat(12e6)}1],"data_offsets":[0,1]`), 1),
    /more than 64/,
  ],
  ["a name of 4 million escapes", () => rawFile(`{"${"\\u0041".repeat(4e6)}":1}`), /^bad-safetensors/],
  ["an endless number", () => rawFile(entry(`"shape":[${"9".repeat(24e6)}]`)), /2\^53/],
];

/** Layer names of a stranger's, for whoever looks for numbers in them. */
export const hostileNames: readonly string[] = [
  `${".1".repeat(500_000)}!.weight`,
  `x.1.${"embed".repeat(200_000)}!.weight`,
  "a.4294967296.b.weight",
  "a.99999.b.weight",
];

/** A rule's pattern that backtracking would never finish with, and a name for it. */
export const slowPattern = [`${"*a".repeat(99)}b`, "a".repeat(5000)] as const;
