import { describe, expect, test } from "vitest";
import { toF16 } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import { LoadedBlock } from "../../src/model/block";
import { openModel } from "../../src/model/checkpoint";
import { summarize } from "../../src/model/summary";
import { createCpuOps } from "../../src/ops/cpu";
import { pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import { layerKinds, type Recipe } from "../../src/recipe/recipe";
import { exportedTo, packableConfig } from "../support/exported";
import { openGpuOps } from "../support/gpu";
import { packed } from "../support/stage";
import { safetensors, type Tensors } from "../support/tiny";

const rules: Recipe["rules"] = [
  { match: "down_proj", bits: 8 },
  { match: "layers.1.self_attn.q_proj", groupSize: -1 },
];

describe.each<[Partial<Recipe>, string]>([
  [{ format: "gptq", bits: 3, groupSize: 32 }, "GPTQ 3-bit, groups of 32, v2"],
  [{ format: "awq", bits: 4, groupSize: 32 }, "AWQ 4-bit, groups of 32"],
  [{ format: "awq", bits: 4, groupSize: -1, symmetric: true, blocks: 1 }, "AWQ 4-bit, one scale per row"],
  [{ format: "compressed-tensors", bits: 3, groupSize: 32 }, "compressed-tensors 3-bit, groups of 32"],
  [
    { format: "compressed-tensors", bits: 4, groupSize: 32, symmetric: true, rules },
    "compressed-tensors 4, 8-bit, groups of 32, one scale per row",
  ],
  [
    { format: "mlx", bits: 2, groupSize: 32, rules: [{ match: "down_proj", bits: 3 }, rules[1]] },
    "MLX 2, 3-bit, groups of 32, groups of 64",
  ],
  [{ format: "mlx", bits: 4, groupSize: -1, zeros: "real", blocks: 1 }, "MLX 4-bit, groups of 64, groups of 32"],
])("%j", (change, title) => {
  test("opens again with the run's weights, in f16", async () => {
    const { source, model, ...result } = await exportedTo(change);
    const again = await openModel(source);
    expect(summarize(again).packing).toBe(title);
    expect(summarize(again).parameters).toBe(summarize(model).parameters);
    expect(again.notes).toEqual([]);
    const layers = new Map((await packed(result)).map((layer) => [layer.name, layer]));
    for (const ops of [createCpuOps(), await openGpuOps()])
      for (const index of [0, 1]) {
        const block = await LoadedBlock.open(ops, again, index);
        await block.load();
        const read = await ops.read(layerKinds.map((kind) => block.weights[kind]));
        for (const [at, kind] of layerKinds.entries()) {
          const layer = [...layers.values()].find(({ name }) => name.includes(`.${index}.`) && name.endsWith(kind));
          if (!layer) continue;
          const per = (layer.shape[0] * layer.shape[1]) / layer.scales.length;
          const want = Array.from(codesOf(layer), (code, i) => {
            const group = Math.floor(i / per);
            return toF16(pointOf(layer.gridKind, layer.scales[group], layer.zeros[group], code));
          });
          // +0 and −0 are one weight.
          expect([...read[at]].map((x) => x || 0)).toEqual(want.map((x) => x || 0));
        }
        block.free();
      }
  });
});

describe("what cannot be read is called by its name", () => {
  const reopened = async (change: Partial<Recipe>, edit: (settings: Record<string, never>, tensors: Tensors) => void) => {
    const { shards, config } = await exportedTo(change);
    const tensors: Tensors = new Map();
    for (const { name, dtype, shape } of shards.tensors.values())
      tensors.set(name, { spec: { name, dtype, shape }, bytes: Uint8Array.from(await shards.readTensor(name)) });
    edit(config.quantization_config, tensors);
    return openModel(
      memorySource("out", [bytesFile("config.json", JSON.stringify(config)), bytesFile("model.safetensors", safetensors(tensors))]),
    );
  };
  const q = "model.layers.0.self_attn.q_proj";
  const reshape = (tensors: Tensors, name: string, shape: number[]) => {
    const { spec, bytes } = tensors.get(name)!;
    const size = (bytes.length / spec.shape.reduce((a, b) => a * b)) * shape.reduce((a, b) => a * b);
    tensors.set(name, { spec: { ...spec, shape }, bytes: new Uint8Array(size) });
  };
  type Edit = Parameters<typeof reopened>[1];
  const weights = (settings: Record<string, unknown>) =>
    Object.values(settings.config_groups as Record<string, { weights: Record<string, unknown> }>)[0];

  test.each<[string, Partial<Recipe>, Edit, string | RegExp]>([
    ["AWQ of 8 bits", { format: "awq", bits: 4 }, (s) => Object.assign(s, { bits: 8 }), "AWQ with 8 bits"],
    ["floats", { format: "compressed-tensors", bits: 4 }, (s) => Object.assign(weights(s).weights, { type: "float" }), "of the type float"],
    [
      "activations",
      { format: "compressed-tensors", bits: 4 },
      (s) => Object.assign(weights(s), { input_activations: {} }),
      "activations are quantized too",
    ],
    ["6 bits", { format: "compressed-tensors", bits: 4 }, (s) => Object.assign(weights(s).weights, { num_bits: 6 }), "bits is 6"],
    ["no groups", { format: "compressed-tensors", bits: 4 }, (s) => Object.assign(s, { config_groups: null }), "names no config_groups"],
    [
      "other bits than the files",
      { format: "compressed-tensors", bits: 4 },
      (s) => Object.assign(weights(s).weights, { num_bits: 8 }),
      /weight_packed has 8 words a row, and 64 codes of 8 bits/,
    ],
    [
      "groups that fit no row",
      { format: "compressed-tensors", bits: 4, groupSize: 32 },
      (_, t) => reshape(t, `${q}.weight_scale`, [64, 3]),
      "has 3 groups a row, which do not divide its 64 inputs",
    ],
    [
      "zeros of another shape",
      { format: "compressed-tensors", bits: 4 },
      (_, t) => reshape(t, `${q}.weight_zero_point`, [4, 1]),
      "weight_zero_point in model.safetensors is 4 × 1, but config.json implies 8 × 1",
    ],
    ["MLX's other modes", { format: "mlx", bits: 4 }, (s) => Object.assign(s, { mode: "mxfp4" }), "mode is mxfp4"],
    ["6 bits of a module", { format: "mlx", bits: 4 }, (s) => Object.assign(s, { [q]: { bits: 6, group_size: 64 } }), "bits is 6"],
    [
      "biases that are not there",
      { format: "mlx", bits: 4 },
      (_, t) => t.delete(`${q}.biases`),
      `missing from the checkpoint: ${q}.biases`,
    ],
    ["nothing that is known", { format: "mlx", bits: 4 }, (s) => Object.assign(s, { quant_method: "quark" }), "quant_method is quark"],
  ])("%s", async (_, change, edit, words) => {
    await expect(reopened(change, edit)).rejects.toThrow(words);
  });

  test("scales that are not finite, when the layer is read", async () => {
    const model = await reopened({ format: "mlx", bits: 4 }, (_, t) => t.get(`${q}.biases`)!.bytes.fill(0x7c));
    const block = await LoadedBlock.open(createCpuOps(), model, 0);
    await expect(block.load()).rejects.toThrow(/q_proj\.biases has \d+ of them/);
  });
});

test.each<Partial<Recipe>>([{ format: "dense" }, { format: "gptq" }, { format: "mlx" }, { format: "compressed-tensors" }])(
  "%j names no weight file of its source's, which clients would look for",
  async (change) => {
    const shape = { ...packableConfig, transformers_weights: "model.safetensors" };
    const { config } = await exportedTo({ ...change, bits: 4, groupSize: 32 }, shape);
    expect(config).toMatchObject({ hidden_size: 64 });
    expect(config).not.toHaveProperty("transformers_weights");
  },
);
