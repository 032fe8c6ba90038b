import Ajv from "ajv";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/engine";
import { QuantError } from "../../src/errors";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { verifyCheckpoint } from "../../src/export/verify";
import { toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import { openCheckpoint, openModel } from "../../src/model/checkpoint";
import { genericLayers } from "../../src/model/generic";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import type { Recipe } from "../../src/recipe/recipe";
import type { RunEvent } from "../../src/results/events";
import { hostileNames } from "../io/bombs";
import { runUncalibrated } from "../support/engine";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { safetensors, type Tensors } from "../support/tiny";
import { readText } from "../support/tree";

/** As GPT-NeoX names its tensors, with what is not to be touched among them. */
const shapes: Record<string, number[]> = {
  "gpt_neox.embed_in.weight": [50, 32],
  "gpt_neox.layers.0.attention.query_key_value.weight": [96, 32],
  "gpt_neox.layers.0.attention.query_key_value.bias": [96],
  "gpt_neox.layers.0.input_layernorm.weight": [32],
  "gpt_neox.layers.1.mlp.dense_h_to_4h.weight": [64, 32],
  "gpt_neox.layers.1.mlp.gate.weight": [32, 32],
  "gpt_neox.layers.1.mlp.router.weight": [32, 32],
  "gpt_neox.layers.1.mlp.gate_proj.weight": [32, 64],
  "gpt_neox.layers.1.mlp.tiny.weight": [8, 32],
  "gpt_neox.layers.1.mlp.stacked.weight": [2, 32, 32],
  "vision_tower.layers.0.fc.weight": [32, 32],
  "embed_out.weight": [50, 32],
};
const quantized = ["gpt_neox.layers.0.attention.query_key_value", "gpt_neox.layers.1.mlp.dense_h_to_4h", "gpt_neox.layers.1.mlp.gate_proj"];

function source(config: Record<string, unknown> = {}) {
  const tensors: Tensors = new Map();
  for (const [name, shape] of Object.entries(shapes)) {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 1.7 + name.length));
    tensors.set(name, { spec: { name, dtype: "F32", shape }, bytes: new Uint8Array(values.buffer) });
  }
  const json = JSON.stringify({ architectures: ["GPTNeoXForCausalLM"], model_type: "gpt_neox", torch_dtype: "bfloat16", ...config });
  return memorySource("neox", [bytesFile("config.json", json), bytesFile("model.safetensors", safetensors(tensors))]);
}

const base = (change: Partial<Recipe> = {}) => recipeWith({ bits: 4, ...change }, { alpha: 0 });

describe("an architecture that cannot be run", () => {
  test("is opened for its linear layers, and refused where it would have to run", async () => {
    const checkpoint = await openCheckpoint(source());
    expect(checkpoint.spec).toBeNull();
    expect(checkpoint.layers.map((l) => l.name)).toEqual(quantized);
    expect(checkpoint.layers[1]).toMatchObject({ kind: "mlp.dense_h_to_4h", block: 1, shape: [64, 32] });
    await expect(openModel(source())).rejects.toMatchObject({ code: "unsupported-architecture" });
  });

  test.each([["stored the other way round", { model_type: "gpt2" }]])("is refused when it is %s", async (_, config) => {
    await expect(openCheckpoint(source(config))).rejects.toMatchObject({ code: "unsupported-architecture" });
  });

  test("is told by names that are a stranger's, within reason", () => {
    const shards = (names: readonly string[]) => ({
      tensors: new Map(names.map((name) => [name, { name, shape: [64, 64], dtype: "F32" }])) as never,
      notes: [],
      readTensor: () => Promise.reject(new Error("not read")),
    });
    expect(genericLayers(shards(hostileNames))).toEqual([]);
    // Two stacks: blocks of one number are told apart.
    const stacks = genericLayers(shards(["encoder.block.0.layer.0.q.weight", "decoder.block.0.layer.0.q.weight"]));
    expect(new Set(stacks.map((l) => l.kind)).size).toBe(2);
  });

  test("is rounded to nearest and exported, everything else as it was", async () => {
    const ops = createCpuOps();
    const model = await openCheckpoint(source());
    const recipe = base({ groupSize: 32, rules: [{ match: "gate_proj", bits: 8 }] });
    const events: RunEvent[] = [];
    const result = await runUncalibrated(ops, model, recipe, (e) => events.push(e));
    expect(ops.liveBytes).toBe(0);
    expect(result.report).toMatchObject({ blocks: [], streamMs: 0 });
    const validate = new Ajv().compile(JSON.parse(readText("docs/report.schema.json")));
    expect(validate(JSON.parse(JSON.stringify(result.report))), JSON.stringify(validate.errors)).toBe(true);
    const errors = result.report.layers.map((l) => l.relativeError);
    // Half a step of 15 of the range, uniformly: about (2/15)²/12 over a sine's ½; 8 bits 289 times less.
    for (const error of errors.slice(0, 2)) expect(error).toBeGreaterThan(0.0015);
    for (const error of errors.slice(0, 2)) expect(error).toBeLessThan(0.005);
    expect(errors[2]).toBeLessThan(errors[1] / 100);
    expect(events.some((e) => e.type === "log" && /nothing is calibrated/.test(e.message))).toBe(true);
    const sink = memorySink();
    const { files } = sink;
    await exportCheckpoint({ model, ...result, evaluations: [], sink });
    const written = memorySource(
      "out",
      [...files].map(([name, bytes]) => bytesFile(name, bytes)),
    );
    await verifyCheckpoint(written, model, result.plan, result.quantized);
    const shards = await openShards(written);
    for (const name of Object.keys(shapes)) {
      const same = Buffer.from(await shards.readTensor(name)).equals(await model.shards.readTensor(name));
      expect(same, name).toBe(!quantized.includes(name.replace(/\.weight$/, "")));
    }
    const name = `${quantized[0]}.weight`;
    const values = toFloats(await shards.readTensor(name), shards.tensors.get(name)!.dtype);
    expect(new Set(values.subarray(0, 32)).size).toBeLessThanOrEqual(16);
    expect(JSON.parse(new TextDecoder().decode(files.get("config.json"))).torch_dtype).toBe("bfloat16");
    expect(new TextDecoder().decode(files.get("README.md"))).toContain("QEP Studio cannot run this architecture");
  });

  test.each<[string, Recipe, RegExp]>([
    ["QEP", recipeWith({}), /GPTNeoXForCausalLM cannot be run here, so nothing can be calibrated/],
    ["GPTQ", base({ method: "gptq" }), /nothing can be calibrated/],
    ["GPTQ by a rule", base({ rules: [{ match: "gate_proj", method: "gptq" }] }), /nothing can be calibrated/],
    ["a rotation", base({ rotation: 0 }), /nothing can be calibrated/],
    ["a packed format", base({ format: "gptq" }), /it is not known which layers/],
    ["groups that do not divide", base({ groupSize: 64 }), /64 does not divide the 32 inputs of gpt_neox.layers.0/],
    ["a rule for nothing", base({ rules: [{ match: "down_proj", bits: 8 }] }), /“down_proj” matches no layer/],
  ])("%s is refused before any work", async (_, recipe, words) => {
    await expect(runUncalibrated(createCpuOps(), await openCheckpoint(source()), recipe, () => {})).rejects.toThrow(words);
  });

  test("stops when asked", async () => {
    const ops = createCpuOps();
    const controller = new AbortController();
    const emit = (e: RunEvent) => e.type === "layer" && controller.abort();
    const running = runUncalibrated(ops, await openCheckpoint(source()), base(), emit, controller.signal);
    await expect(running).rejects.toMatchObject({ code: "cancelled" });
    expect(ops.liveBytes).toBe(0);
  });
});

test("a device that is lost while its rounding is planned is replaced, as anywhere else", async () => {
  const read = async () => {
    throw new QuantError("device-lost", "a driver reset");
  };
  const devices: Ops[] = [Object.create(createCpuOps(), { read: { value: read } })];
  const engine = new Engine(memoryPlatform(undefined, { openOps: async () => devices.shift() ?? createCpuOps() }));
  await engine.open(source());
  const plan = await engine.plan(base({ method: "rtn" }), null, new AbortController().signal);
  expect(plan.quantizedWeights).toBeGreaterThan(0);
  expect(devices).toEqual([]);
});
