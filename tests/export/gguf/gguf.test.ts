import { describe, expect, test } from "vitest";
import { exportCheckpoint } from "../../../src/export/checkpoint";
import { entriesOf, exportJob, layoutOf } from "../../../src/export/entries";
import { checkPackedRange } from "../../../src/export/range";
import { verifyCheckpoint } from "../../../src/export/verify";
import { f16Word, toFloats } from "../../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../../src/io/memory";
import { openModel } from "../../../src/model/checkpoint";
import { embeddingName } from "../../../src/model/layers";
import { pointOf } from "../../../src/ops/grid-kinds";
import { codesOf } from "../../../src/ops/packed";
import type { PackedLayer } from "../../../src/quant/coded";
import { resolve } from "../../../src/quant/resolve";
import type { Recipe } from "../../../src/recipe/recipe";
import { type ParsedGguf, parseGguf } from "../../support/ggml";
import { blockSource, exportOf } from "../../support/gguf";
import { recipeWith } from "../../support/recipe";
import type { Tensors } from "../../support/tiny";

const fileOf = (files: ReadonlyMap<string, Uint8Array>): [string, Uint8Array] => [...files].find(([name]) => name.endsWith(".gguf"))!;

async function written(change: Partial<Recipe>, config: object = {}) {
  const result = await exportOf(blockSource(config), change);
  const [name, bytes] = fileOf(result.files);
  return { ...result, name, bytes, gguf: parseGguf(bytes) };
}

/** Biases that rise, for every layer of attention. */
function addBiases(tensors: Tensors): void {
  for (const { spec } of [...tensors.values()])
    if (/self_attn\.[qkvo]_proj\.weight/.test(spec.name)) {
      const name = spec.name.replace("weight", "bias");
      const words = Uint16Array.from({ length: spec.shape[0] }, (_, i) => f16Word(i / 64));
      tensors.set(name, { spec: { name, dtype: "F16", shape: [spec.shape[0]] }, bytes: new Uint8Array(words.buffer) });
    }
}

const layerNames = {
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
};

/** Row r of a tensor of heads, as llama.cpp's converter orders them: reshape [heads, 2, d/2], swap the last two. */
const turned = (r: number, d: number) => Math.floor(r / d) * d + (r % 2) * (d / 2) + Math.floor((r % d) / 2);

/** What the file's values are off the run's at most, in steps of their grids. */
function deviation({ tensors }: ParsedGguf, layer: PackedLayer, isTurned: boolean): number {
  const kind = layer.name.split(".").at(-1) as keyof typeof layerNames;
  const { data } = tensors.get(`blk.0.${layerNames[kind]}.weight`)!;
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const codes = codesOf(layer);
  let worst = 0;
  for (let r = 0; r < out; r++) {
    const row = isTurned && /^[qk]_/.test(kind) ? turned(r, layer.shape[1] / 4) : r;
    for (let i = 0; i < n; i++) {
      const g = row * groups + Math.floor((i * groups) / n);
      const want = pointOf(layer.gridKind, layer.scales[g], layer.zeros[g], codes[row * n + i]);
      worst = Math.max(worst, Math.abs(data[r * n + i] - Math.fround(want)) / layer.scales[g]);
    }
  }
  return worst;
}

describe("each grid has the smallest block type that holds it", () => {
  test.each<[type: string, change: Partial<Recipe>, off: number]>([
    ["Q2_0", { bits: 2, groupSize: 64 }, 0],
    ["Q2_0", { bits: 2 }, 0],
    ["Q4_0", { bits: 2, groupSize: 32 }, 0],
    ["Q2_K", { bits: 2, symmetric: false }, 0],
    ["Q3_K", { bits: 3 }, 0],
    ["Q4_0", { bits: 3, groupSize: 128 }, 0],
    ["Q4_K", { bits: 3, symmetric: false }, 0],
    ["Q4_K", { bits: 4, symmetric: false }, 0],
    ["Q4_0", { bits: 4, groupSize: 32 }, 0],
    ["Q8_0", { bits: 8 }, 0],
    // m = f16(S·z), z at most 15: half a step of f16 at most, which is 2⁻¹² of S·16.
    ["Q4_1", { bits: 4, groupSize: 64, symmetric: false }, 16 * 2 ** -12],
    // S·code and M are added in f32.
    ["Q4_1", { bits: 3, groupSize: 32, symmetric: false, zeros: "real" }, 2 ** -20],
  ])("%s of %j", async (type, change, off) => {
    const { gguf, quantized, plan, name } = await written(
      change,
      type.endsWith("_K") ? { hidden_size: 256, head_dim: 64, intermediate_size: 256 } : {},
    );
    expect(name).toBe(`a-Model-1-${type}.gguf`);
    for (const { name, kind } of plan.layers) {
      expect(gguf.tensors.get(`blk.0.${layerNames[kind as keyof typeof layerNames]}.weight`)!.type).toBe(type);
      expect(deviation(gguf, (await quantized.layer(name)) as PackedLayer, true), name).toBeLessThanOrEqual(off);
    }
  });

  test("layer by layer, where rules want different ones", async () => {
    const rules = [{ match: "down_proj", bits: 8 as const }];
    const { gguf, plan } = await written({ bits: 4, groupSize: 32, rules });
    expect([gguf.tensors.get("blk.0.ffn_down.weight")!.type, gguf.tensors.get("blk.0.ffn_up.weight")!.type]).toEqual(["Q8_0", "Q4_0"]);
    expect(plan.layers).toHaveLength(7);
  });

  test.each<[Partial<Recipe>, object, RegExp]>([
    [{ bits: 8, symmetric: false }, {}, /no GGUF block holds the asymmetric 8-bit grid of model\.layers\.0\.self_attn\.q_proj.*--sym/],
    [
      { bits: 4, symmetric: true },
      { intermediate_size: 136 },
      /the 136 inputs of model\.layers\.0\.mlp\.down_proj are no multiple of the 32/,
    ],
    [{ method: "quip", bits: 4 }, {}, /quip's weights are not on a grid/],
  ])("and %j is refused in a sentence before the run", async (change, config, message) => {
    const model = await openModel(blockSource(config));
    const recipe = recipeWith({ format: "gguf", ...change });
    await expect(async () => layoutOf(exportJob(model, resolve(recipe, model)))).rejects.toThrow(message);
  });
});

describe("the other tensors", () => {
  test("keep the source's values: norms and biases in F32, matrices in F16, q and k turned, without a head where it is tied", async () => {
    const bias = "model.layers.0.self_attn.k_proj.bias";
    const source = blockSource({ model_type: "qwen2", architectures: ["Qwen2ForCausalLM"], tie_word_embeddings: true }, {}, addBiases);
    const { files, model } = await exportOf(source, { bits: 4 });
    const { tensors } = parseGguf(fileOf(files)[1]);
    expect([...tensors.keys()].slice(0, 4)).toEqual([
      "token_embd.weight",
      "blk.0.attn_norm.weight",
      "blk.0.attn_q.weight",
      "blk.0.attn_q.bias",
    ]);
    const embeddings = tensors.get("token_embd.weight")!;
    expect([embeddings.type, embeddings.dims]).toEqual(["F16", [128, 1024]]);
    expect([...embeddings.data]).toEqual([...toFloats(await model.shards.readTensor(embeddingName), "F16")]);
    expect(tensors.get("output_norm.weight")).toMatchObject({ type: "F32", dims: [128] });
    expect(tensors.has("output.weight")).toBe(false);
    // Qwen's rotary embedding turns halves of heads, as Hugging Face's does.
    expect(tensors.get("blk.0.attn_k.bias")).toMatchObject({ type: "F32", data: toFloats(await model.shards.readTensor(bias), "F16") });
    for (const { at } of tensors.values()) expect(at % 32).toBe(0);
  });

  test("biases of q and k of Llama's are turned too", async () => {
    const source = blockSource({ attention_bias: true }, {}, addBiases);
    const { files, model } = await exportOf(source, { bits: 4 });
    const { tensors } = parseGguf(fileOf(files)[1]);
    const bias = toFloats(await model.shards.readTensor("model.layers.0.self_attn.k_proj.bias"), "F16");
    expect([...tensors.get("blk.0.attn_k.bias")!.data]).toEqual([...bias.keys()].map((r) => bias[turned(r, 32)]));
  });

  test("of blocks that are not quantized too, q and k turned", async () => {
    const { gguf, model } = await written({ bits: 4, blocks: 1 }, { num_hidden_layers: 2 });
    const q = gguf.tensors.get("blk.1.attn_q.weight")!;
    const source = toFloats(await model.shards.readTensor("model.layers.1.self_attn.q_proj.weight"), "F16");
    expect(q.type).toBe("F16");
    expect([...q.data]).toEqual([...q.data.keys()].map((i) => source[turned(Math.floor(i / 128), 32) * 128 + (i % 128)]));
    expect(gguf.tensors.get("output.weight")!.dims).toEqual([128, 1024]);
  });

  test("that f16 cannot hold stay in F32, and the export is verified with them", async () => {
    const source = blockSource({ torch_dtype: "float32" }, {}, (tensors) => {
      const { spec, bytes } = tensors.get(embeddingName)!;
      const values = toFloats(bytes, "F16").map((x, i) => (i === 5 ? 1e5 : x));
      tensors.set(embeddingName, { spec: { ...spec, dtype: "F32" }, bytes: new Uint8Array(values.buffer) });
    });
    const { files } = await exportOf(source, { bits: 4 });
    const { type, data } = parseGguf(fileOf(files)[1]).tensors.get("token_embd.weight")!;
    expect([type, data[5]]).toEqual(["F32", 1e5]);
  });

  test("that AWQ folded scales into are the run's, not the source's", async () => {
    const { gguf, quantized } = await written({ method: "awq", bits: 4, groupSize: 32 });
    const [name, norm] = [...quantized.replaced][0];
    expect(name).toBe("model.layers.0.input_layernorm.weight");
    expect(gguf.tensors.get("blk.0.attn_norm.weight")!.data).toEqual(norm);
  });
});

test("beside the file are only the card and the recipe", async () => {
  const { files } = await exportOf(blockSource(), { bits: 4 });
  expect([...files.keys()].sort()).toEqual(["README.md", "a-Model-1-Q4_0.gguf", "certificate.json", "recipe.json"]);
  const card = new TextDecoder().decode(files.get("README.md"));
  expect(card).toContain("tags: [quantized, qep, gguf]");
  expect(card).not.toContain("library_name");
});

describe("verification", () => {
  const readBack = async (edit: (bytes: Uint8Array, gguf: ParsedGguf) => Uint8Array) => {
    const { model, plan, quantized, report } = await exportOf(blockSource(), { bits: 4 });
    const sink = memorySink();
    await exportCheckpoint({ model, plan, quantized, report, evaluations: [], sink });
    const [name, bytes] = fileOf(sink.files);
    const changed = edit(Uint8Array.from(bytes), parseGguf(bytes));
    await verifyCheckpoint(memorySource("out", [bytesFile(name, changed)]), model, plan, quantized);
  };

  test("finds what was changed in a layer, in a copy, in the metadata, and at the end", async () => {
    await readBack((bytes) => bytes);
    const flip =
      (name: string) =>
      (bytes: Uint8Array, { tensors }: ParsedGguf) => {
        bytes[tensors.get(name)!.at + 1] ^= 1;
        return bytes;
      };
    await expect(readBack(flip("blk.0.attn_q.weight"))).rejects.toThrow(/blk\.0\.attn_q\.weight does not read back/);
    await expect(readBack(flip("output.weight"))).rejects.toThrow(/output\.weight does not read back/);
    await expect(readBack((bytes) => bytes.subarray(0, bytes.length - 32))).rejects.toThrow(/its header tells of/);
    await expect(
      readBack((bytes) => {
        const at = Buffer.from(bytes).indexOf("general.name") + "general.name".length + 4 + 8;
        bytes[at] ^= 1;
        return bytes;
      }),
    ).rejects.toThrow(/its metadata is not what was to be written/);
  });
});

test("every entry's size is known before its bytes, and they have it", async () => {
  const { model, plan, quantized, bytes } = await written({ bits: 2, groupSize: 64 });
  const job = exportJob(model, plan);
  expect((await layoutOf(job)).fileBytes).toBe(bytes.length);
  expect(entriesOf(job)).toHaveLength(12);
  expect(quantized.replaced.size).toBe(0);
});

test("an offset that f16 cannot hold is refused, though all weights are within its range", async () => {
  const recipe = recipeWith({ format: "gguf", bits: 4, groupSize: 32 });
  const layer = (scale: number): PackedLayer => ({
    kind: "packed",
    name: "l",
    shape: [1, 64],
    bits: 4,
    symmetric: false,
    // Codes of 15 only.
    words: new Uint32Array(8).fill(0xffffffff),
    gridKind: "integer-zero",
    scales: Float32Array.of(1, scale),
    zeros: Uint8Array.of(3, 15),
  });
  expect(() => checkPackedRange(layer(4000), recipe)).not.toThrow();
  expect(() => checkPackedRange(layer(5000), recipe)).toThrow(/l\.weight holds -75000 at index 32/);
});
