/** How long readers are kept busy by files that were made to. `npm run bench -- --only readers` */
import { expect, test } from "vitest";
import { parseHeader } from "../src/io/header";
import { readJson } from "../src/io/json";
import { bytesFile } from "../src/io/memory";
import { genericLayers } from "../src/model/generic";
import { matches } from "../src/recipe/rules";
import { bombs, hostileNames, slowPattern } from "../tests/io/bombs";
import { corpus } from "../tests/io/corpus";
import { fact, write } from "./support/report";

/** Milliseconds of the processor's time, the least of three, so that other work on the machine counts little. */
async function least(work: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const started = process.cpuUsage();
    try {
      await work();
    } catch {
      // Refusing is the work.
    }
    const { user, system } = process.cpuUsage(started);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

const times: [title: string, ms: number][] = [];
const measure = async (title: string, work: () => unknown) => times.push([title, await least(work)]);

const header = (bytes: Uint8Array) => parseHeader(bytes.subarray(8), bytes.length, "m");
const shards = {
  tensors: new Map(hostileNames.map((name) => [name, { name, shape: [64, 64], dtype: "F32" }])) as never,
  notes: [],
  readTensor: () => Promise.reject(new Error("not read")),
};

test("readers", async () => {
  for (const [title, make] of bombs) {
    const bytes = make();
    await measure(`header: ${title}`, () => header(bytes));
  }
  const brackets = bytesFile("c.json", new Uint8Array(50e6).fill(91));
  await measure("JSON: 50 MB of [", () => readJson(brackets, 60e6));
  await measure("names of layers that are a stranger's", () => genericLayers(shards));
  await measure("a rule's pattern that backtracking would never finish with", () => matches(...slowPattern));
  let slowest = 0;
  for (const { bytes } of corpus()) {
    const started = performance.now();
    try {
      header(bytes);
    } catch {}
    slowest = Math.max(slowest, performance.now() - started);
  }
  times.push(["the slowest of 10,000 mutated headers", slowest]);
  await write(
    {
      name: "readers",
      title: "How long hostile files keep readers busy",
      order: 16,
      adapter: null,
      intro: "Time of the processor until the reader refuses, or has read, the least of three.",
    },
    times.map(([title, ms]) => fact(title, `${ms.toFixed(1)} ms`)),
  );
  expect(times.length).toBeGreaterThan(bombs.length);
}, 600_000);
