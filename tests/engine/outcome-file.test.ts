import { expect, test } from "vitest";
import type { BlockOutcome } from "../../src/engine/outcome";
import { openOutcome, readLayer, readReplaced, writeOutcome } from "../../src/engine/outcome-file";
import { joined } from "../../src/io/scratch";
import type { Coded } from "../../src/quant/coded";

const layers: Coded[] = [
  {
    kind: "packed",
    name: "a",
    symmetric: false,
    shape: [3, 5],
    bits: 3,
    words: Uint32Array.of(1, 2 ** 31, 3),
    gridKind: "integer-zero",
    scales: Float32Array.of(0.5, 2, 1 / 3),
    zeros: Uint8Array.of(1, 2, 255),
  },
  { kind: "dense", name: "b", shape: [1, 3], words: Uint16Array.of(1, 2, 65535) },
  {
    kind: "packed",
    name: "c",
    symmetric: true,
    shape: [1, 2],
    bits: 8,
    words: Uint32Array.of(7),
    gridKind: "real-zero",
    scales: Float32Array.of(4),
    zeros: Float32Array.of(-0.25),
  },
];
const outcome: BlockOutcome = {
  index: 2,
  layers,
  replaced: new Map([
    ["norm", Float32Array.of(1, 2, 3)],
    ["bias", Float32Array.of(-7)],
  ]),
  beyondF16: new Map([["b.weight", { index: 1, value: Number.NEGATIVE_INFINITY }]]),
  report: { block: null, layers: [], ms: 1, streamMs: 0 },
};

test("a block's outcome is read back as it was written, every array in its own type, whatever its length", async () => {
  const file = joined(writeOutcome(outcome).parts);
  const reads: number[] = [];
  const read = async (start: number, end: number) => {
    reads.push(start);
    return file.slice(start, end);
  };
  const opened = await openOutcome(read);
  expect(opened.head.beyondF16.map(([name, index, value]) => [name, index, Number(value)])).toEqual([["b.weight", 1, -Infinity]]);
  reads.length = 0;
  for (const layer of layers) expect(await readLayer(opened, layer.name, read)).toEqual(layer);
  expect(await readLayer(opened, "d", read)).toBe(null);
  expect(new Map(await readReplaced(opened, read))).toEqual(outcome.replaced);
  // Nine arrays, each where any type may begin.
  expect(reads.length).toBe(9);
  expect(reads.filter((at) => at % 8 !== 0)).toEqual([]);
});
