/** Real models' sizes on paper: checkpoints whose bytes are made as they are read. */
import { expect, test } from "vitest";
import { planSummary } from "../../src/engine/plan";
import { roomOf } from "../../src/engine/room";
import type { TokenWindows } from "../../src/model/calibration";
import { openModel } from "../../src/model/checkpoint";
import { defaultBudget } from "../../src/ops/activations";
import { resolve } from "../../src/quant/resolve";
import { configs, generatedSource } from "../support/generated";
import { recipeWith } from "../support/recipe";

const gptq = recipeWith({ method: "gptq", bits: 4, groupSize: 128, format: "dense" }, { alpha: 0.5 });
const tokens = (windows: number, length: number): TokenWindows => ({ windows, length, ids: new Int32Array(windows * length) });
const calibration = { tokens: tokens(128, 2048), heldOut: null };

test.each([
  // Parameters as published: 6.74, 8.03 and 68.98 billion.
  { name: "Llama-2-7B", parameters: 6738415616, shards: 3, widest: [4096, 11008] },
  { name: "Llama-3-8B", parameters: 8030261248, shards: 4, widest: [4096, 14336] },
  { name: "Llama-2-70B", parameters: 68976648192, shards: 29, widest: [8192, 28672] },
] as const)("$name opens from its headers alone, and plans", async ({ name, parameters, shards, widest }) => {
  const source = generatedSource(name, configs[name]);
  let read = 0;
  const files = source.files.map((file) => ({
    ...file,
    read: (start: number, end: number) => {
      read += end - start;
      return file.read(start, end);
    },
  }));
  const model = await openModel({ ...source, files });
  expect(files.filter(({ name: file }) => file.endsWith(".safetensors"))).toHaveLength(shards);
  const plan = resolve(gptq, model);
  const summary = await planSummary(model, plan, calibration, { rate: 1e-9, stream: "unrecorded", perChunk: 1, budget: defaultBudget });
  expect(summary.bytesIn / 2).toBeCloseTo(parameters, -6);
  const layers = plan.layers.map(({ shape }) => shape);
  expect(Math.max(...layers.map(([out, n]) => out * n))).toBe(widest[0] * widest[1]);
  // Codes of 4 bits with a scale and a zero for every 128 of them, and both streams twice.
  const codes = summary.quantizedWeights * (0.5 + 5 / 128);
  const streams = 2 * 2 * 4 * 128 * 2048 * model.spec.hidden;
  const { scratchBytes: kept } = roomOf({ model, plan, calibration }, { runsAgain: false, budget: { device: 1e15, host: 0, kept: 0 } });
  expect(kept / (codes + streams)).toBeCloseTo(1, 3);
  expect(read).toBeLessThan(1e6);
});

test("what is generated is finite and the same at every read, wherever a read begins", async () => {
  const model = await openModel(generatedSource("Llama-3-8B", configs["Llama-3-8B"]));
  const name = "model.layers.31.mlp.down_proj.weight";
  const rows = (from: number, to: number) => model.shards.readTensor(name, { from, to });
  const [both, second] = [await rows(7, 9), await rows(8, 9)];
  expect(both.subarray(both.length / 2)).toEqual(second);
  const floats = Array.from({ length: 14336 }, (_, i) => new Float32Array(Uint8Array.of(0, 0, second[2 * i], second[2 * i + 1]).buffer)[0]);
  expect(Math.min(...floats.map(Math.abs))).toBeGreaterThanOrEqual(2 ** -6);
  expect(Math.max(...floats.map(Math.abs))).toBeLessThan(2 ** -5);
  expect(Math.abs(floats.reduce((a, b) => a + b, 0) / floats.length)).toBeLessThan(1e-3);
});
