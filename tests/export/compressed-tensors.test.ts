import { describe, expect, test } from "vitest";
import { formats } from "../../src/export/entries";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber } from "../../src/io/dtype";
import { codesOf } from "../../src/ops/packed";
import type { Recipe } from "../../src/recipe/recipe";
import { bitsAt, exportedTo, packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";

const exported = (change: Partial<Recipe>, shape?: Record<string, unknown>) =>
  exportedTo({ format: "compressed-tensors", ...change }, shape);
const view = (bytes: Uint8Array) => new DataView(new Uint8Array(bytes).buffer);

describe.each<[Partial<Recipe>, Record<string, unknown>]>([
  [{ bits: 4, groupSize: 32, symmetric: true }, packableConfig],
  [{ bits: 3, groupSize: 32 }, packableConfig],
  [{ bits: 8, groupSize: -1 }, packableConfig],
  // Rows and columns that fill no whole words.
  [
    { bits: 3, groupSize: -1 },
    { ...packableConfig, hidden_size: 40, head_dim: 10, intermediate_size: 56 },
  ],
  [
    { bits: 2, groupSize: -1, symmetric: true },
    { ...packableConfig, hidden_size: 40, head_dim: 10, intermediate_size: 56 },
  ],
])("%j", (change, shape) => {
  test("every code, scale, shape and zero stands where the format puts it", async () => {
    const { shards, source, ...result } = await exported(change, shape);
    await verifyCheckpoint(source, result.model, result.plan, result.quantized);
    for (const { name, ...layer } of await packed(result)) {
      const [out, n] = layer.shape;
      const { bits } = layer;
      const groups = layer.scales.length / out;
      const part = async (last: string) => view(await shards.readTensor(`${name}.weight_${last}`));
      const perRow = Math.ceil((n * bits) / 32);
      expect(shards.tensors.get(`${name}.weight_packed`)).toMatchObject({ dtype: "I32", shape: [out, perRow] });
      const [words, scales, size] = [await part("packed"), await part("scale"), await part("shape")];
      const codes = codesOf({ ...layer });
      for (let o = 0; o < out; o += 3)
        for (let i = 0; i < n; i++) expect(bitsAt(words, bits, 32 * perRow * o + bits * i)).toBe(codes[o * n + i]);
      for (let at = 0; at < layer.scales.length; at++) expect(f16ToNumber(scales.getUint16(2 * at, true))).toBe(layer.scales[at]);
      expect([size.getBigInt64(0, true), size.getBigInt64(8, true)]).toEqual([BigInt(out), BigInt(n)]);
      const zeros = shards.tensors.get(`${name}.weight_zero_point`);
      expect(zeros === undefined).toBe(change.symmetric === true);
      if (!zeros) continue;
      expect(zeros.shape).toEqual([Math.ceil((out * bits) / 32), groups]);
      const packedZeros = await part("zero_point");
      for (let g = 0; g < groups; g++)
        for (let o = 0; o < out; o++) expect(bitsAt(packedZeros, bits, bits * o, groups, g)).toBe(layer.zeros[o * groups + g]);
    }
  });
});

describe("quantization_config", () => {
  const settingsOf = async (change: Partial<Recipe>) => (await exported(change)).config.quantization_config;

  test("has one group for all linear layers", async () => {
    expect(await settingsOf({ bits: 4, groupSize: 32, symmetric: true })).toEqual({
      quant_method: "compressed-tensors",
      format: "pack-quantized",
      quantization_status: "compressed",
      config_groups: {
        group_0: { targets: ["Linear"], weights: { num_bits: 4, type: "int", symmetric: true, strategy: "group", group_size: 32 } },
      },
      ignore: ["lm_head"],
    });
    const [weights] = Object.values((await settingsOf({ bits: 4, groupSize: -1 })).config_groups).map(
      (group) => (group as { weights: unknown }).weights,
    );
    expect(weights).toMatchObject({ symmetric: false, strategy: "channel", group_size: null });
  });

  test("or one for each bit width and group size, by kind where all of a kind are in it", async () => {
    const rules: Recipe["rules"] = [
      { match: "down_proj", bits: 8 },
      { match: "layers.1.self_attn.q_proj", groupSize: -1 },
    ];
    const { config_groups: groups } = await settingsOf({ bits: 4, groupSize: 32, symmetric: true, rules });
    expect(Object.values(groups)).toMatchObject([
      {
        targets: [
          "model.layers.0.self_attn.q_proj",
          ...["k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"].map((kind) => `re:.*\\.${kind}$`),
        ],
        weights: { num_bits: 4, group_size: 32 },
      },
      { targets: ["re:.*\\.down_proj$"], weights: { num_bits: 8, group_size: 32 } },
      { targets: ["model.layers.1.self_attn.q_proj"], weights: { num_bits: 4, strategy: "channel" } },
    ]);
  });

  test("ignores the blocks that stay floats", async () => {
    const { config, shards } = await exported({ bits: 4, groupSize: 32, blocks: 1 });
    expect(config.quantization_config.ignore).toEqual(["lm_head", "re:model\\.layers\\.1\\."]);
    expect(shards.tensors.has("model.layers.1.mlp.up_proj.weight")).toBe(true);
    expect(shards.tensors.has("model.layers.0.mlp.up_proj.weight_packed")).toBe(true);
  });
});

test("notes say which clients load what", () => {
  const notes = (change: Partial<Recipe>) => formats["compressed-tensors"].notes(recipeWith(change), { spec: null, config: {} }).join(" ");
  expect(notes({ bits: 4, symmetric: true })).not.toMatch(/only|cannot|0\.18/);
  expect(notes({ bits: 4, symmetric: true, rules: [{ match: "o_proj", bits: 3 }] })).toContain("compressed-tensors 0.18 or newer");
  expect(notes({ bits: 4 })).toContain("dequantize=True");
  expect(notes({ bits: 4, rules: [{ match: "o_proj", groupSize: 32 }] })).toContain("cannot load asymmetric layers with several");
});
