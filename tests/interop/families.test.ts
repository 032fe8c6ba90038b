import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readyPython } from "../../scripts/python.mjs";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { folderSink, folderSource } from "../../src/io/node";
import { type TokenWindows, windowsFromNpy } from "../../src/model/calibration";
import { loadTensor, type Model, openModel } from "../../src/model/checkpoint";
import { embeddingName, finalNormName, headName } from "../../src/model/layers";
import { rotateModel } from "../../src/model/rotated";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { forward, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { root } from "../support/tree";

const folder = mkdtempSync(join(tmpdir(), "qep-families-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** All that are told apart. */
const known = [
  "llama2",
  "llama3",
  "llama-linear",
  "llama-tied",
  "llama-head-dim",
  "llama-bias",
  "llama-172",
  "mistral",
  "qwen2",
  "qwen3",
  "llama-yarn",
  "llama-yarn-mscale",
  "llama-dynamic",
  "llama-dynamic-beyond",
  "llama3-no-original",
  "qwen2-yarn-by-hand",
  "mistral-layer-types",
  "mistral-no-window",
  "ministral",
  "qwen2-layer-types",
  "qwen3-later",
  "qwen3-bias",
  "llama-stray-bias",
  "llama-other-head",
  "no-architectures",
  "other-name",
];

/** `npm test` takes one of each way through the code: where biases stand, norms of queries and keys, a window, every usual rope; `npm run interop` all. */
const usual = ["llama2", "llama3", "llama-linear", "llama-bias", "llama-yarn", "mistral", "qwen2", "qwen3"];
const families = process.env.QEP_INTEROP === "all" ? known : usual;

function python(...args: string[]): string {
  const command = readyPython();
  if (!command) throw new Error("Run `npm run setup -- --tests` first: the Python environment is missing.");
  const { status, stdout, stderr } = spawnSync(command, [`${root}tests/interop/make_family.py`, ...args], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return stdout;
}

const exportOf = (name: string) => `${name}-out`;

/** As the command line writes it: 4 bits, dense. */
async function exportDense(name: string): Promise<void> {
  const { model, tokens } = await open(name);
  const recipe = recipeWith({ method: "rtn", bits: 4, qep: { ...recipeWith().qep, alpha: 0 } });
  const finished = await run({ ops: createCpuOps(), model, tokens, recipe, emit: () => {} });
  const sink = await folderSink(join(folder, exportOf(name)));
  await exportCheckpoint({ model, ...finished, evaluations: [], sink });
  copyFileSync(join(folder, name, "ids.npy"), join(folder, exportOf(name), "ids.npy"));
}

/** One for all: each device compiles its kernels anew. */
let gpu: Ops;
beforeAll(async () => {
  gpu = await openGpuOps();
  const made = python(folder, ...families)
    .trim()
    .split("\n");
  expect(JSON.parse(made.at(-1)!)).toEqual(known);
  for (const name of families) await exportDense(name);
  python("--again", ...families.map((name) => join(folder, exportOf(name))));
}, 300_000);

const open = async (name: string): Promise<{ model: Model; tokens: TokenWindows; want: Float32Array }> => {
  const at = (file: string) => readFileSync(join(folder, name, file));
  // numpy pads its header to 64 bytes; the floats follow it.
  const npy = at("logits.npy");
  const data = npy.subarray(10 + npy.readUInt16LE(8));
  return {
    model: await openModel(await folderSource(join(folder, name))),
    tokens: windowsFromNpy("ids.npy", at("ids.npy"), 24),
    want: new Float32Array(new Uint8Array(data).buffer),
  };
};

/** Logits [tokens, vocabulary] of the whole network. */
async function logits(ops: Ops, model: Model, tokens: TokenWindows): Promise<ArrayLike<number>> {
  const stream = await forward(ops, model, tokens);
  const last = ops.rmsNorm(await stream.h(0).acquire(), await loadTensor(ops, model, finalNormName), model.spec.eps);
  return (await ops.read([ops.linear(last, await loadTensor(ops, model, model.spec.tied ? embeddingName : headName))]))[0];
}

describe.each(families)("%s", (name) => {
  test("computes transformers' logits, on WebGPU and on the reference, within 1e-4 of their scale", async () => {
    const { model, tokens, want } = await open(name);
    const scale = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    for (const ops of [gpu, createCpuOps()]) {
      const ours = await logits(ops, model, tokens);
      const worst = want.reduce((m, x, i) => Math.max(m, Math.abs(x - ours[i])), 0);
      expect(worst / scale).toBeLessThan(1e-4);
    }
  });

  test("exports what transformers computes the same of", async () => {
    const { model, tokens, want } = await open(exportOf(name));
    const scale = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const ours = await logits(createCpuOps(), model, tokens);
    expect(want.reduce((m, x, i) => Math.max(m, Math.abs(x - ours[i])), 0) / scale).toBeLessThan(1e-4);
  });

  test("rotated, computes them too", async () => {
    const { model, tokens, want } = await open(name);
    const scale = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const ours = await logits(createCpuOps(), await rotateModel(model, 5), tokens);
    const worst = want.reduce((m, x, i) => Math.max(m, Math.abs(x - ours[i])), 0);
    // A 16-bit checkpoint's embeddings and head are rounded to f16 again.
    const exact = model.shards.tensors.get(embeddingName)!.dtype === "F32";
    expect(worst / scale).toBeLessThan(exact ? 1e-5 : 1e-3);
  });

  // The rest differ in what the tests above look at.
  if (known.indexOf(name) >= 10) return;
  test("is quantized with QEP to a finite, small error", async () => {
    const { model, tokens } = await open(name);
    const { report } = await run({ ops: createCpuOps(), model, tokens, recipe: recipeWith({ method: "gptq", bits: 4 }), emit: () => {} });
    expect(report.blocks.at(-1)!.relativeDelta).toBeLessThan(0.5);
    expect(report.layers).toHaveLength(14);
  });
});
