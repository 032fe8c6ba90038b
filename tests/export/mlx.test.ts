import { describe, expect, test } from "vitest";
import { modelCard } from "../../src/export/card";
import { entriesOf, exportJob, formats } from "../../src/export/entries";
import { mlxLimits } from "../../src/export/formats/mlx-config";
import { checkPackedRange } from "../../src/export/range";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16, toFloats } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import type { PackedLayer } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { bitsAt, exportedTo, packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { safetensors, type Tensors, tinySource, tinyTensors } from "../support/tiny";

const config = packableConfig;
const recipe = (change: Partial<Recipe>) => recipeWith({ format: "mlx", ...change });
const exported = (change: Partial<Recipe>, ...rest: [shape?: Record<string, unknown>, tensors?: Tensors]) =>
  exportedTo({ format: "mlx", ...change }, ...rest);

/** A naive second reading of MLX's layout, value by value, in f16 as MLX computes. */
function dequantized(
  words: DataView,
  scales: Float32Array,
  biases: Float32Array,
  [out, n]: readonly [number, number],
  bits: number,
): number[] {
  const groups = scales.length / out;
  return Array.from({ length: out * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    const code = bitsAt(words, bits, (row * n + column) * bits);
    const at = row * groups + Math.floor((column * groups) / n);
    return toF16(toF16(scales[at] * code) + biases[at]);
  });
}

describe.each([
  [{ bits: 4, groupSize: 32, symmetric: true }, 32, 32],
  [{ bits: 3, groupSize: 32 }, 32, 32],
  [{ bits: 2, groupSize: -1 }, 64, 32],
  [{ bits: 4, groupSize: -1, zeros: "real" }, 64, 32],
] satisfies [Partial<Recipe>, number, number][])("%j", (change, hidden, inner) => {
  test("MLX's arithmetic gives the run's weights, each rounded to f16 once", async () => {
    const { shards, source, model, plan, quantized, report } = await exported(change);
    await verifyCheckpoint(source, model, plan, quantized);
    for (const layer of await packed({ plan, quantized, report })) {
      const { shape, bits, gridKind, scales, zeros } = layer;
      const size = layer.name.endsWith("down_proj") ? inner : hidden;
      const infos = ["weight", "scales", "biases"].map((part) => shards.tensors.get(`${layer.name}.${part}`)!);
      expect(infos.map(({ dtype, shape: s }) => [dtype, ...s])).toEqual([
        ["U32", shape[0], (shape[1] * bits) / 32],
        ["F16", shape[0], shape[1] / size],
        ["F16", shape[0], shape[1] / size],
      ]);
      const [words, s, b] = await Promise.all(infos.map(({ name }) => shards.readTensor(name)));
      const per = (shape[0] * shape[1]) / scales.length;
      const want = Array.from(codesOf(layer), (code, i) => {
        const at = Math.floor(i / per);
        return toF16(pointOf(gridKind, scales[at], zeros[at], code));
      });
      const got = dequantized(new DataView(new Uint8Array(words).buffer), toFloats(s, "F16"), toFloats(b, "F16"), shape, bits);
      expect(got.map((x) => x || 0)).toEqual(want.map((x) => x || 0));
    }
  });
});

describe("what else is written", () => {
  test("all of it in f16, and the files say that they are MLX's", async () => {
    const { shards, files, model, report } = await exported({ bits: 4, groupSize: 32 });
    const header = new TextDecoder().decode(files.get("model.safetensors")!.subarray(8, 60));
    expect(header).toMatch(/^\{"__metadata__":\{"format":"mlx"\}/);
    const others = [...shards.tensors.values()].filter(({ dtype }) => dtype !== "U32");
    expect(new Set(others.map(({ dtype }) => dtype))).toEqual(new Set(["F16"]));
    expect(modelCard(model, report, [])).toContain("library_name: mlx");
    expect(modelCard(model, report, [])).toContain("What is not quantized is as in the source, in f16.");
  });

  test("f32 and bf16 become f16", async () => {
    const tensors = tinyTensors(config);
    const name = "model.norm.weight";
    const values = Float32Array.from({ length: 64 }, (_, i) => 1 + i / 1000);
    tensors.set(name, { spec: { name, dtype: "F32", shape: [64] }, bytes: new Uint8Array(values.buffer) });
    const { shards } = await exported({ bits: 4, groupSize: 32 }, config, tensors);
    const words = new Uint16Array(new Uint8Array(await shards.readTensor(name)).buffer);
    expect(Array.from(words, f16ToNumber)).toEqual(Array.from(values, toF16));
  });

  test("tensors that the model has no place for are left out, because mlx-lm refuses them", async () => {
    const tensors = tinyTensors({ ...config, tie_word_embeddings: true });
    for (const name of ["model.layers.0.extra.weight", "model.layers.0.mlp.up_proj.bias", "model.layers.0.self_attn.rotary_emb.inv_freq"])
      tensors.set(name, { spec: { name, dtype: "F16", shape: [1] }, bytes: new Uint8Array(2) });
    const { shards } = await exported({ bits: 4, groupSize: 32 }, { ...config, tie_word_embeddings: true }, tensors);
    expect([...shards.tensors.keys()].filter((name) => /extra|up_proj\.bias$|inv_freq|lm_head/.test(name))).toEqual([]);
  });

  test("config.json names bits and groups, and the modules where they differ", async () => {
    const rules = [{ match: "layers.1.mlp.down_proj", bits: 8 as const }];
    const { config: written } = await exported({ bits: 4, groupSize: -1, rules });
    expect(written.quantization).toEqual({
      group_size: 64,
      bits: 4,
      mode: "affine",
      "model.layers.0.mlp.down_proj": { group_size: 32, bits: 4 },
      "model.layers.1.mlp.down_proj": { group_size: 32, bits: 8 },
    });
    expect(written.quantization_config).toEqual(written.quantization);
    expect(written.torch_dtype).toBe("float16");
  });

  test("config.json says what mlx-lm would take otherwise: heads, rotary embeddings, what is tied", async () => {
    const { rope_theta: _, tie_word_embeddings: __, head_dim: ___, ...rest } = config;
    const rope = { rope_type: "linear", rope_theta: 777, factor: 2 };
    const { config: written } = await exported({ bits: 4, groupSize: 32 }, { ...rest, rope_parameters: rope });
    expect(written).toMatchObject({
      head_dim: 16,
      rope_theta: 777,
      rope_scaling: rope,
      tie_word_embeddings: false,
      num_key_value_heads: 2,
    });
    const plain = await exported({ bits: 4, groupSize: 32 });
    expect(plain.config).toMatchObject({ rope_theta: 10000 });
    expect(plain.config).not.toHaveProperty("rope_scaling");
  });

  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32 };
  test.each<[object, number]>([
    [{}, 0.1 * Math.log(4) + 1],
    [{ mscale: 0.7 }, 0.1 * Math.log(4) + 1],
    [{ mscale_all_dim: 1 }, 0.1 * Math.log(4) + 1],
    [{ mscale: 2, mscale_all_dim: 1 }, (0.2 * Math.log(4) + 1) / (0.1 * Math.log(4) + 1)],
    [{ attention_factor: 1 }, 1],
  ])("YaRN with %j multiplies in mlx-lm by what transformers does", async (more, factor) => {
    const { config: written, model } = await exported({ bits: 4, groupSize: 32 }, { ...config, rope_scaling: { ...yarn, ...more } });
    const { mscale, mscale_all_dim, attention_factor } = written.rope_scaling;
    const scale = (x: number) => 0.1 * x * Math.log(4) + 1;
    expect(scale(mscale) / scale(mscale_all_dim)).toBeCloseTo(factor, 12);
    expect(attention_factor).toBeCloseTo(factor, 12);
    expect(mlxLimits(model)).toEqual([]);
  });

  test("what mlx-lm computes differently of YaRN is said", async () => {
    const limits = async (more: object) => mlxLimits(await openModel(tinySource({ ...config, rope_scaling: { ...yarn, ...more } })));
    expect(await limits({ truncate: false })).toEqual([expect.stringMatching(/truncate.*computes something else/)]);
    expect(await limits({ factor: 1, attention_factor: 1.5 })).toEqual([expect.stringMatching(/attention_factor 1.5 with a factor of 1/)]);
  });

  test("some blocks only: the others' layers stay floats", async () => {
    const { shards } = await exported({ bits: 4, groupSize: 32, blocks: 1 });
    expect(shards.tensors.has("model.layers.0.mlp.up_proj.scales")).toBe(true);
    expect(shards.tensors.get("model.layers.1.mlp.up_proj.weight")!.dtype).toBe("F16");
  });
});

describe("the grid that MLX's rounding leaves exact", () => {
  const scaleBits = async (change: Partial<Recipe>) =>
    resolve(recipe(change), await openModel(tinySource(config))).layers.map(({ grid }) => grid.scaleBits);
  test("has scales of 11 − b bits, layer by layer; 8 bits and other formats keep f16's", async () => {
    expect(new Set(await scaleBits({ bits: 4 }))).toEqual(new Set([7]));
    const mixed = await scaleBits({ bits: 2, rules: [{ match: "q_proj", bits: 8 }] });
    expect(mixed.slice(0, 2)).toEqual([undefined, 9]);
    expect(new Set(await scaleBits({ bits: 4, format: "gptq" }))).toEqual(new Set([undefined]));
  });

  test("notes say what is exact", () => {
    const notes = (change: Partial<Recipe>) => formats.mlx.notes(recipe(change), { spec: null, config: {} }).join(" ");
    expect(notes({ bits: 4 })).toContain("exactly as it was measured");
    expect(notes({ bits: 8, symmetric: true })).toContain("an eighth of a step");
    expect(notes({ bits: 4, rules: [{ match: "o_proj", bits: 8 }] })).toContain("a quarter of a step");
  });
});

describe("limits", () => {
  test("a row that no group divides is refused before the run", async () => {
    const model = await openModel(tinySource({ ...config, intermediate_size: 40 }));
    expect(() => entriesOf(exportJob(model, resolve(recipe({ bits: 4 }), model)))).toThrow(
      "MLX holds groups of 32, 64 or 128, and none of them divides the 40 inputs of model.layers.0.mlp.down_proj",
    );
  });

  test("a product beyond f16 is refused, though the weight is not", () => {
    const layer: PackedLayer = {
      kind: "packed",
      name: "layer",
      symmetric: true,
      shape: [1, 32],
      bits: 4,
      words: new Uint32Array(4).fill(0x88888888),
      gridKind: "integer-zero",
      scales: Float32Array.of(5120),
      zeros: Uint8Array.of(8),
    };
    expect(() => checkPackedRange(layer, recipe({ format: "gptq" }))).not.toThrow();
    expect(() => checkPackedRange(layer, recipe({}))).toThrow(/layer\.weight holds 76800 at index 0/);
  });

  test("notes name what mlx-lm does not run", async () => {
    const notes = async (change: Record<string, unknown>) => {
      const shape = { ...config, ...change };
      const { spec, config: own } = await openModel(
        memorySource("m", [
          bytesFile("config.json", JSON.stringify(shape)),
          bytesFile("model.safetensors", safetensors(tinyTensors(shape))),
        ]),
      );
      return formats.mlx.notes(recipe({}), { spec, config: own }).join(" ");
    };
    expect(await notes({})).not.toContain("0.32");
    expect(await notes({ model_type: "ministral", architectures: ["MinistralForCausalLM"] })).toContain("no model of the kind");
    expect(await notes({ model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: 33 })).toContain("beyond 33 tokens");
  });
});
