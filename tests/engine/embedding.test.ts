import { expect, test } from "vitest";
import { embedChunks, embeddingRowsOf } from "../../src/engine/chunks";
import { embedFrom } from "../../src/engine/tables";
import { letEventsIn } from "../../src/io/turn";
import { type Model, openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { PackedLayer } from "../../src/quant/coded";
import { activationsOf } from "../support/engine";
import { tinySource } from "../support/tiny";

const chunks = Array.from({ length: 6 }, (_, c) => Int32Array.from({ length: 10 }, (_, i) => (7 * c + i) % 50));

const table: PackedLayer = {
  kind: "packed",
  name: "model.embed_tokens",
  symmetric: false,
  shape: [50, 24],
  bits: 4,
  words: new Uint32Array(50 * 3),
  gridKind: "integer-zero",
  scales: new Float32Array(50).fill(1),
  zeros: new Uint8Array(50),
};

/** A model from memory, whose promises alone never let an event in. */
const model: Promise<Model> = openModel(tinySource());

test.each([
  ["a run's table", async (signal: AbortSignal) => embedFrom(activationsOf(createCpuOps()), table, chunks, signal)],
  ["a checkpoint", async (signal: AbortSignal) => embedChunks(activationsOf(createCpuOps()), await model, chunks, signal)],
])("a cancel is heard while tokens are embedded from %s", async (_, embed) => {
  await model;
  expect(await embed(new AbortController().signal)).toHaveLength(6);
  const stop = new AbortController();
  letEventsIn().then(() => stop.abort());
  await expect(embed(stop.signal)).rejects.toMatchObject({ code: "cancelled" });
});

test("the table is read once for as many bytes of rows as are gathered, in the file's dtype", async () => {
  const { shards, ...rest } = await model;
  let reads = 0;
  const readTensor: typeof shards.readTensor = (name, rows) => {
    reads++;
    return shards.readTensor(name, rows);
  };
  const rows: Uint8Array[] = [];
  // Two chunks of ten rows of 24 f16.
  for await (const each of embeddingRowsOf({ ...rest, shards: { ...shards, readTensor } }, chunks, undefined, 2 * 10 * 24 * 2))
    rows.push(each);
  expect(reads).toBe(3);
  const whole = await shards.readTensor("model.embed_tokens.weight");
  for (const [c, ids] of chunks.entries())
    expect([...rows[c]]).toEqual(Array.from(ids, (id) => [...whole.subarray(id * 48, (id + 1) * 48)]).flat());
});
