import { expect, it } from "vitest";
import type { LayerReport } from "../../src/results/report";
import { applyToRun } from "../../src/store/inbox";
import { aRun } from "./a-run";

const block = (index: number, delta: number) => ({ type: "block" as const, block: { index, delta, relativeDelta: delta / 10 } });
const layer = (name: string) => ({ type: "layer" as const, layer: { name } as LayerReport });
const start = { type: "start" as const, blocks: 3, quantizedBlocks: 2 };

it("a second start, after a lost device, takes back what was told of the block under way, and nothing is there twice", () => {
  const before = applyToRun(aRun({ blocks: [], layers: [] }), [start, layer("a"), block(0, 1), layer("b")]);
  expect(before).toMatchObject({ totalBlocks: 3, quantizedBlocks: 2 });
  const after = applyToRun(before, [start, layer("a"), block(0, 1), layer("b"), block(1, 2)]);
  expect(after.layers.map((l) => l.name)).toEqual(["a", "b"]);
  expect(after.blocks.map((b) => b.delta)).toEqual([1, 2]);
});
