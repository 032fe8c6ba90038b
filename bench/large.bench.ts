/**
 * Llama-2-7B's shape for real, its bytes made as they are read: `npm run large`, for hours on a software adapter. Held to WebGPU's default limits, 128 MiB a
 * binding, and to 2 GiB of GPU memory. `-- -t block` or `-- -t whole` runs one part, and each writes what it measured.
 */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodePlatform } from "../src/cli/platform";
import { Engine } from "../src/engine/engine";
import { bytesFile } from "../src/io/memory";
import { diskSourceFile, folderSink } from "../src/io/node";
import type { Source } from "../src/io/types";
import { zipSink } from "../src/io/zip";
import type { GpuOps } from "../src/ops/gpu";
import type { Recipe } from "../src/recipe/recipe";
import type { LayerReport } from "../src/results/report";
import { configs, generatedSource } from "../tests/support/generated";
import { openGpuOps } from "../tests/support/gpu";
import { npy } from "../tests/support/npy";
import { recipeWith } from "../tests/support/recipe";
import { machineOf, type Row, record } from "./record";

const memory = 2 * 2 ** 30;
const hours = 3_600_000;
const never = new AbortController().signal;
let adapter = "";

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
const minutes = (ms: number): string => `${(ms / 60_000).toFixed(1)} min`;

interface Taken {
  /** Without the buffers, which a software adapter keeps in the process too. */
  bytes: number;
  /** JavaScript's typed arrays, those that are garbage but not collected yet among them. */
  arrays: number;
  heap: number;
}

/** What the process takes at its peak. */
function watchProcess(ops: GpuOps): () => Taken {
  let most: Taken = { bytes: 0, arrays: 0, heap: 0 };
  const look = () => {
    const { rss, arrayBuffers: arrays, heapTotal: heap } = process.memoryUsage();
    const bytes = rss - ops.heldBytes;
    if (bytes > most.bytes) most = { bytes, arrays, heap };
  };
  const timer = setInterval(look, 100);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}

interface Opened {
  engine: Engine;
  ops: GpuOps;
  text: { file: ReturnType<typeof bytesFile> };
  folder: string;
}

async function open(source: Source, windows: number, length: number): Promise<Opened> {
  const ops = await openGpuOps({ limits: { maxStorageBufferBindingSize: 2 ** 27, maxBufferSize: 2 ** 28 } });
  adapter = ops.adapter.description;
  const folder = await mkdtemp(join(tmpdir(), "qep-large-"));
  const engine = new Engine({ ...nodePlatform(false, folder), openOps: async () => ops });
  engine.limitMemory(memory);
  await engine.open(source);
  const ids = Int32Array.from({ length: windows * length }, (_, i) => (i * 7919) % 2000);
  return { engine, ops, text: { file: bytesFile("ids.npy", npy({ windows, length, ids })) }, folder };
}

const within = (what: string, bytes: number, goal: number, why: string | null): Row => ({
  what,
  measured: gibibytes(bytes),
  goal: `≤ ${gibibytes(goal)}`,
  met: bytes <= goal,
  why: bytes <= goal ? null : why,
});

const processWithin = (what: string, { bytes, arrays, heap }: Taken): Row =>
  within(
    what,
    bytes,
    1.5e9,
    `${gibibytes(arrays)} of it are typed arrays, ${gibibytes(heap)} the heap; the rest is the driver’s, V8’s code, and what malloc keeps of what was freed`,
  );

const plain = (what: string, measured: string): Row => ({ what, measured, goal: null, met: null, why: null });

/** Runs; its time and peaks as rows. */
async function ran({ engine, ops, text }: Opened, title: string, recipe: Recipe, told: (layer: LayerReport) => void): Promise<Row[]> {
  const plan = await engine.plan(recipe, text, never);
  const memoryOf = watchProcess(ops);
  const report = await engine.run(
    { id: "run", recipe, text },
    (event) => {
      if (event.type === "layer") told(event.layer);
      if (event.type === "commit") console.log(`${title}: block ${event.done} is done`);
    },
    never,
  );
  const peaks = [plan.peakGpuBytes, report.peakGpuBytes].map(gibibytes).join(", ");
  return [
    plain("time", minutes(report.ms)),
    within("device memory at its peak, buffers kept for reuse and staging included", ops.heldPeakBytes, memory, null),
    plain("device memory that the plan foretold, and tensors at their peak", peaks),
    processWithin("process at its peak, buffers not included", memoryOf()),
  ].map((row) => ({ ...row, what: `${title}: ${row.what}` }));
}

const write = (name: string, order: number, title: string, rows: Row[]) =>
  record(name, {
    title: `Llama-2-7B in 2 GiB: ${title}`,
    order,
    command: `npm run large -- -t ${title.split(" ")[0]}`,
    machine: machineOf(adapter),
    intro:
      "A checkpoint of Llama-2-7B's shape whose bytes are made as they are read, held to 128 MiB a binding and 2 GiB of GPU memory. On a software adapter buffers lie in the process, so they are taken off what it takes.",
    rows,
  });

test(
  "block",
  async () => {
    const config = { ...configs["Llama-2-7B"], num_hidden_layers: 1, vocab_size: 2000 };
    const opened = await open(generatedSource("Llama-2-7B", config), 4, 256);
    const rules = [{ match: "down_proj", alpha: 0.5 }];
    const recipe = recipeWith(
      { method: "gptq", bits: 4, groupSize: 128, rules, calibration: { windows: null, windowLength: 256, seed: 0 } },
      { alpha: 0.5 },
    );
    const rows = await ran(
      opened,
      "block 1, GPTQ 4-bit g128 + QEP (down_proj too), 1,024 tokens",
      recipe,
      ({ name, relativeError, ms }) => {
        console.log(`${name}: ${relativeError.toPrecision(4)}, ${minutes(ms)}`);
        expect(relativeError).toBeGreaterThan(0);
        expect(relativeError).toBeLessThan(0.1);
      },
    );
    await opened.engine.close();
    await rm(opened.folder, { recursive: true, force: true });
    await write("large-block", 30, "block 1", rows);
  },
  3 * hours,
);

/** A zip written to a file, front to back. */
async function fileZip(path: string, top: string) {
  const stream = createWriteStream(path);
  const write = (bytes: Uint8Array) => new Promise<void>((ok, fail) => void stream.write(bytes, (e) => (e ? fail(e) : ok())));
  const close = () => new Promise<void>((ok) => void stream.end(ok));
  return zipSink({ write, close, written: () => diskSourceFile(path), abort: close }, top);
}

test(
  "whole",
  async () => {
    const opened = await open(generatedSource("Llama-2-7B", configs["Llama-2-7B"]), 1, 64);
    const { engine, ops, folder } = opened;
    const calibration = { windows: null, windowLength: 64, seed: 0 };
    const recipe = recipeWith({ method: "rtn", bits: 4, groupSize: 128, symmetric: true, format: "gptq", calibration }, { alpha: 0 });
    const title = "all 32 blocks, RTN 4-bit g128, 64 tokens";
    const rows = await ran(opened, title, recipe, ({ block, relativeError }) => {
      expect(relativeError).toBeGreaterThan(0);
      // Later blocks of random weights have their inputs' errors too, which grow without bound.
      expect(relativeError).toBeLessThan(block === 0 ? 0.1 : Number.POSITIVE_INFINITY);
    });
    for (const [container, sink] of [
      ["a folder", await folderSink(join(folder, "out"))],
      ["a zip", await fileZip(join(folder, "out.zip"), "out")],
    ] as const) {
      const memoryOf = watchProcess(ops);
      const started = performance.now();
      const { bytes } = await engine.export("run", sink, () => {}, never);
      const what = `${title}: written to ${container} of ${gibibytes(bytes)} and read back`;
      rows.push(
        plain(what, minutes(performance.now() - started)),
        processWithin(`${title}: process at its peak while writing ${container}`, memoryOf()),
      );
    }
    await engine.close();
    await rm(folder, { recursive: true, force: true });
    await write("large-whole", 31, "whole model", rows);
  },
  3 * hours,
);
