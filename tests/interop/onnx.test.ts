import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withGraphs } from "../../src/cli/source";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { placedTensors } from "../../src/export/onnx/proto";
import { folderSink, folderSource } from "../../src/io/node";
import { windowsFromNpy } from "../../src/model/calibration";
import { openModel, runnable } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import { createCpuOps } from "../../src/ops/cpu";
import { bitWidths, type FormatId, type Recipe } from "../../src/recipe/recipe";
import { openAny } from "../../src/reopen/open";
import { run } from "../support/engine";
import { goneOn } from "../support/greedy";
import { startClients } from "../support/python";
import { recipeWith } from "../support/recipe";
import { root } from "../support/tree";
import { demo, madeModel, type Subject } from "./studio";

const folder = mkdtempSync(join(tmpdir(), "qep-onnx-"));
const clients = startClients("check_onnx.py");
afterAll(() => {
  clients.stop();
  rmSync(folder, { recursive: true, force: true });
});

const made = (name: string, config: Record<string, unknown> = {}, family: "llama" | "qwen2" | "qwen3" = "llama") =>
  madeModel(join(folder, name), { hidden: 64, intermediate: 96, heads: 4, family, config: { head_dim: 16, ...config } });
const scaled = (rope_scaling: object) => ({ rope_theta: 10000, max_position_embeddings: 64, rope_scaling });
const short = { original_max_position_embeddings: 16 };

/** The demo has grouped queries and a head of its own; all others have tied embeddings. */
const subjects = {
  demo,
  mha: made("mha"),
  qwen2: made("qwen2", { num_key_value_heads: 2 }, "qwen2"),
  qwen3: made("qwen3", { num_key_value_heads: 1, head_dim: 32 }, "qwen3"),
  llama3: made("llama3", scaled({ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, ...short })),
  linear: made("linear", scaled({ rope_type: "linear", factor: 2 })),
  yarn: made("yarn", scaled({ rope_type: "yarn", factor: 4, ...short })),
  dynamic: made("dynamic", scaled({ rope_type: "dynamic", factor: 3 })),
  window: made("window", { architectures: ["MistralForCausalLM"], model_type: "mistral", sliding_window: 8 }),
  /** A row of 48 and one of 72 inputs: three blocks of 16, and blocks of 32 of which the last is not full. */
  odd: madeModel(join(folder, "odd"), { hidden: 48, intermediate: 72, heads: 3, config: { head_dim: 16 } }),
};
type Name = keyof typeof subjects;
type Case = readonly [subject: Name, change: Partial<Recipe>];

/** In `npm test`: every way through the graph, and every width of codes with and without zeros. */
const usual: Case[] = [
  ["demo", { bits: 4, groupSize: 32 }],
  ["mha", { bits: 4, groupSize: 32, symmetric: true, format: "onnx-f16" }],
  ["mha", { bits: 3, groupSize: 32, symmetric: true }],
  ["qwen2", { bits: 2, groupSize: 32 }],
  ["qwen3", { bits: 8, groupSize: -1 }],
  ["llama3", { bits: 3, groupSize: -1 }],
  ["window", { bits: 2, groupSize: 32, symmetric: true }],
  ["odd", { bits: 4, groupSize: -1, rules: [{ match: "down_proj", bits: 3 }] }],
  ["mha", { bits: 8, groupSize: 32, symmetric: true, blocks: 1 }],
];

const others: Case[] = [
  ...(["linear", "yarn", "dynamic"] as const).map((name): Case => [name, { bits: 4, groupSize: 32 }]),
  ["demo", { bits: 4, groupSize: 32, method: "awq" }],
  ["demo", { bits: 2, groupSize: 32, format: "onnx-f16" }],
  ["qwen2", { bits: 4, groupSize: 32, rotation: 3 }],
  ["qwen3", { bits: 4, groupSize: 32, method: "gptq", format: "onnx-f16" }],
  ...(["mha", "odd", "qwen2"] as const).flatMap((name) =>
    bitWidths.flatMap((bits) => [true, false].map((symmetric): Case => [name, { bits, groupSize: -1, symmetric }])),
  ),
];
const isWhole = process.env.QEP_INTEROP === "all";
const cases = isWhole ? [...usual, ...others] : usual;

/** The export of a run on the float64 reference, and a dense one of the same codes. */
async function exported({ folder: source, calibration }: Subject, change: Partial<Recipe>): Promise<{ packed: string; dense: string }> {
  const recipe = recipeWith({ format: "onnx", ...change });
  const opened = await openModel(await folderSource(source));
  const model = recipe.rotation === null ? opened : await rotateModel(opened, recipe.rotation);
  const { ids, length } = windowsFromNpy("tokens.npy", readFileSync(calibration), 128);
  const tokens = { windows: 1, length, ids: ids.subarray(0, length) };
  const { plan, report, quantized } = await run({ ops: createCpuOps(), model, tokens, recipe });
  const out = mkdtempSync(join(folder, "case-"));
  const write = async (format: FormatId, name: string) => {
    const other = { ...recipe, format };
    const sink = await folderSink(join(out, name));
    const input = { model, quantized, evaluations: [], sink };
    await exportCheckpoint({ ...input, plan: { ...plan, recipe: other }, report: { ...report, recipe: other } });
    return join(out, name);
  };
  return { packed: await write(recipe.format, "packed"), dense: await write("dense", "dense") };
}

const prompt = "Once upon a time, there was";
const more = 24;
const jobOf = (name: Name, { packed, dense }: { packed: string; dense: string }) => ({
  export: packed,
  dense,
  tokens: subjects[name].evaluation,
  ...(name === "demo" ? { prompt, more } : {}),
});

/** Exports that agree, with what transformers computes of the first 40 tokens. */
const agreeing: { folder: string; ids: number[]; last: number[]; half: boolean; name: Name; change: Partial<Recipe> }[] = [];

test.each(cases)("%s %j", async (name, change) => {
  const both = await exported(subjects[name], change);
  const job = jobOf(name, both);
  const report = await clients.check(job);
  expect(report).toMatchObject({ exit: 0, message: "agrees" });
  expect(report.quantized).toBe(7 * (change.blocks ?? (name === "demo" ? 12 : 2)));
  if (report.text !== undefined) {
    expect(inTransformersJs(both.packed)).toBe(report.text);
    const again = runnable(await openAny(await withGraphs(both.packed)));
    expect(await goneOn(createCpuOps(), again, both.packed, prompt, more)).toBe(report.text);
  }
  const ids = [...windowsFromNpy("tokens.npy", readFileSync(job.tokens), 40).ids.subarray(0, 40)];
  agreeing.push({ folder: both.packed, ids, last: report.last!, half: change.format === "onnx-f16", name, change });
});

const onWebGpu: Name[] = isWhole ? ["demo", "qwen3", "window", "odd"] : ["qwen2", "odd"];

/**
 * The last token's logits after half the tokens at once and the others one by one. Not more at once: for 32 and more, onnxruntime's WebGPU takes an attention
 * that counts keys twice where four lanes are a subgroup, as on SwiftShader; no GPU's subgroups are as small.
 */
test.each([
  { provider: "wasm", jobs: () => agreeing },
  // SwiftShader has no shader-f16; and compiling shaders takes it seconds.
  { provider: "webgpu", jobs: () => agreeing.filter(({ half, name }) => !half && onWebGpu.includes(name)) },
])("onnxruntime, $provider, computes the same logits", ({ provider, jobs }) => {
  const list = jobs();
  const path = join(folder, `${provider}.json`);
  writeFileSync(path, JSON.stringify(list));
  const results: number[][] = JSON.parse(client("onnxruntime.mjs", provider, path));
  expect(results.length).toBeGreaterThan(1);
  expect(results).toHaveLength(list.length);
  for (const [i, { last, half, name, change }] of list.entries()) {
    const scale = Math.max(...last.map(Math.abs));
    const worst = Math.max(...last.map((x, id) => Math.abs(x - results[i][id])));
    expect(worst / scale, `${name} ${JSON.stringify(change)}`).toBeLessThan(half ? 5e-3 : 1e-5);
  }
});

/** What a script in clients/ prints last. */
function client(script: string, ...args: string[]): string {
  // Chromium brings the Vulkan loader beside its driver.
  const driver = process.env.VK_ICD_FILENAMES;
  const env = { ...process.env, ...(driver ? { LD_LIBRARY_PATH: dirname(driver) } : {}) };
  const command = [join(root, "tests/interop/clients", script), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8", env });
  expect(status, stderr).toBe(0);
  return stdout.trim().split("\n").at(-1)!;
}

/** The demo's text as transformers.js goes on with it. */
const inTransformersJs = (path: string): string => JSON.parse(client("transformers-js.mjs", prompt, String(more), path))[0];

describe("what is broken on purpose", () => {
  const graph = "onnx/model_q4.onnx";
  let good: { packed: string; dense: string };
  beforeAll(async () => {
    good = await exported(subjects.mha, { bits: 4, groupSize: 32 });
  });
  const broken = (edit: (path: string) => void) => {
    const path = mkdtempSync(join(folder, "broken-"));
    cpSync(good.packed, path, { recursive: true });
    edit(path);
    return clients.check(jobOf("mha", { ...good, packed: path }));
  };
  /** Changes a tensor's bytes. */
  const touched = (name: string, change: (bytes: Uint8Array) => void) => (path: string) => {
    const { offset, bytes } = placedTensors(readFileSync(join(path, graph))).find(({ spec }) => spec.name === name)!;
    const data = readFileSync(join(path, `${graph}_data`));
    change(data.subarray(offset, offset + bytes));
    writeFileSync(join(path, `${graph}_data`), data);
  };
  const layer = "model.layers.1.mlp.down_proj";

  test.each<[string, (path: string) => void, number, string]>([
    ["a code that was touched", touched(`${layer}.qweight`, (b) => b.set([b[5] ^ 0x11], 5)), 4, `other weights: ${layer}.weight`],
    ["zeros in the other order", touched(`${layer}.qzeros`, (b) => b.reverse()), 4, `other weights: ${layer}.weight`],
    ["a scale of another row", touched(`${layer}.scales`, (b) => b.copyWithin(0, 12, 24)), 4, `other weights: ${layer}.weight`],
    ["a norm that was touched", touched("model.norm.weight", (b) => b.copyWithin(0, 4, 8)), 4, "other weights: model.norm.weight"],
    ["data that was cut off", (path) => truncateSync(join(path, `${graph}_data`), 20_000), 2, "data"],
    ["a graph that was cut off", (path) => truncateSync(join(path, graph), 5000), 2, "parse"],
    ["rotary tables that begin elsewhere", touched("sin_cache", (b) => b.copyWithin(0, 160, 480)), 5, "other logits"],
  ])("%s", async (_, edit, exit, message) => {
    expect(await broken(edit)).toMatchObject({ exit, message: expect.stringContaining(message) });
  });
});
