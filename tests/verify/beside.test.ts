/** What is beside the linear layers: the network, embeddings, head, norms and biases, with the original and without. */
import { describe, expect, test } from "vitest";
import { openCheckpoint, openModel } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import type { Recipe } from "../../src/recipe/recipe";
import { packableConfig } from "../support/exported";
import { type Tensors, tinySource, tinyTensors } from "../support/tiny";
import { addBiases, check, codesOf, complaints, type Edit, exportFor, type Json, scale, tensorsOf } from "./files";

const qwen2: Json = { ...packableConfig, model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
const qwen3: Json = { ...packableConfig, model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] };
const mistral: Json = {
  ...packableConfig,
  model_type: "mistral",
  architectures: ["MistralForCausalLM"],
  sliding_window: 16,
};
const allBiased: Json = { ...packableConfig, attention_bias: true, mlp_bias: true };
const kinds = ["q_proj", "k_proj", "v_proj"];
const allKinds = [...kinds, "o_proj", "gate_proj", "up_proj", "down_proj"];
const qkv = () => addBiases(tinyTensors(qwen2), kinds);
const all = () => addBiases(tinyTensors(allBiased), allKinds);
const llama3: Json = {
  ...packableConfig,
  rope_theta: 500_000,
  rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 },
};

describe.each<[string, Partial<Recipe>, Json?, Tensors?]>([
  ["Qwen2 as GPTQ", { format: "gptq", groupSize: 32 }, qwen2, qkv()],
  ["Qwen2 as MLX", { format: "mlx", groupSize: 32 }, qwen2, qkv()],
  ["Qwen2, AWQ's folds", { format: "awq", method: "awq", groupSize: 32 }, qwen2, qkv()],
  ["all biases, AWQ's folds", { format: "awq", method: "awq", groupSize: 32 }, allBiased, all()],
  ["all biases, AWQ's folds, 2 bits", { format: "dense", method: "awq", bits: 2, groupSize: 32 }, allBiased, all()],
  ["all biases, AWQ's folds, bf16", { format: "dense", method: "awq", denseDtype: "bf16" }, allBiased, all()],
  ["bf16", { format: "dense", denseDtype: "bf16" }],
  ["Qwen3, tied", { format: "compressed-tensors", groupSize: 32 }, { ...qwen3, tie_word_embeddings: true }],
  ["a window", { format: "gptq", groupSize: 32 }, mistral],
  ["Llama 3's scaling", { format: "mlx", groupSize: 32 }, llama3],
  ["embeddings and head rounded", { format: "dense", type: "Q8_0", symmetric: true, vocabulary: "rounded" }],
])("a sound folder: %s", (_, change, shape, tensors) => {
  test("is the original's in all that is beside the layers", async () => {
    const { model, again } = await exportFor(change, shape, tensors);
    const recipe = JSON.stringify(change);
    const found = await check(await again({ files: { "recipe.json": recipe } }), { original: model });
    expect(complaints(found)).toEqual([]);
    expect(found.findings.map(({ message }) => message).join("\n")).toMatch(
      /other tensors \(embeddings, head, norms, biases\) are the original's/,
    );
    const longer = await again({ files: { "recipe.json": recipe }, config: (c) => Object.assign(c, { max_position_embeddings: 4096 }) });
    expect(complaints(await check(longer, { original: model }))).toEqual([]);
  });
});

test.each<[string, Partial<Recipe>, Json, Tensors?]>([
  ["biases", { format: "gptq", groupSize: 32 }, allBiased, all()],
  ["AWQ's folds, tied", { format: "awq", method: "awq", groupSize: 32 }, { ...packableConfig, tie_word_embeddings: true }],
])("a sound rotated folder: %s", async (_, change, config, tensors) => {
  const original = await openModel(tinySource(config, tensors));
  const rotated = await rotateModel(original, 3);
  const { again } = await exportFor(change, { ...config, tie_word_embeddings: false }, await tensorsOf(rotated.shards));
  const found = await check(await again({ files: { "recipe.json": JSON.stringify({ rotation: 3 }) } }), { original });
  expect(complaints(found)).toEqual([]);
  expect(JSON.stringify(found.findings)).toMatch(/other tensors/);
});

const block = "model.layers.0";
const zero = (t: Tensors, name: string) => t.get(name)!.bytes.fill(0);

describe("a folder that computes another model", () => {
  test.each<[string, [Partial<Recipe>, Json?, Tensors?], Edit, string[], RegExp]>([
    [
      "embeddings that are 0",
      [{ format: "gptq", groupSize: 32 }],
      { tensors: (t) => zero(t, "model.embed_tokens.weight") },
      ["error far-from-original"],
      /not the original's: the file computes another model.*model\.embed_tokens\.weight \(relative error 1\.00\)/,
    ],
    [
      "one token's embedding that is 0",
      [{ format: "gptq", groupSize: 32 }],
      { tensors: (t) => t.get("model.embed_tokens.weight")!.bytes.fill(0, 7 * 128, 8 * 128) },
      ["error far-from-original"],
      /1\.0 in row 7/,
    ],
    [
      "a head that is 0",
      [{ format: "mlx", groupSize: 32 }],
      { tensors: (t) => zero(t, "lm_head.weight") },
      ["error far-from-original"],
      /lm_head\.weight \(relative error 1\.00\)/,
    ],
    [
      "a last norm that is 0",
      [{ format: "gptq", groupSize: 32 }],
      { tensors: (t) => zero(t, "model.norm.weight") },
      ["error far-from-original"],
      /model\.norm\.weight \(relative error 1\.00\)/,
    ],
    [
      "a norm before layers that is 0",
      [{ format: "gptq", groupSize: 32 }],
      { tensors: (t) => zero(t, `${block}.input_layernorm.weight`) },
      ["error far-from-original"],
      /input_layernorm\.weight \(relative error 1\.00\)/,
    ],
    [
      "a norm before layers that is scaled, and the layers are not",
      [{ format: "awq", method: "awq", groupSize: 32 }],
      { tensors: (t) => scale(t, `${block}.post_attention_layernorm.weight`, () => 1.5) },
      ["error far-from-original"],
      /post_attention_layernorm\.weight \(relative error/,
    ],
    [
      "a norm of keys that is another",
      [{ format: "compressed-tensors", groupSize: 32 }, qwen3],
      { tensors: (t) => scale(t, `${block}.self_attn.k_norm.weight`, (i) => 1 + (i % 3)) },
      ["error far-from-original"],
      /k_norm\.weight \(relative error/,
    ],
    [
      "a bias of q that is 0",
      [{ format: "gptq", groupSize: 32 }, qwen2, qkv()],
      { tensors: (t) => zero(t, `${block}.self_attn.q_proj.bias`) },
      ["error far-from-original"],
      /q_proj\.bias \(relative error 1\.00\)/,
    ],
    [
      "a bias of v that does not go with AWQ's fold",
      [{ format: "awq", method: "awq", groupSize: 32 }, qwen2, qkv()],
      { tensors: (t) => scale(t, `${block}.self_attn.v_proj.bias`, (i) => (i % 2 ? -1 : 1)) },
      ["error far-from-original"],
      /v_proj\.bias \(relative error/,
    ],
    [
      "another base of angles",
      [{ format: "gptq", groupSize: 32 }],
      { config: (c) => Object.assign(c, { rope_theta: 77 }) },
      ["error other-network"],
      /Rotary embedding: theta 77 without scaling; in the original: theta 10000 without scaling\..*rope_theta/,
    ],
    [
      "no scaling of angles",
      [{ format: "gptq", groupSize: 32 }, llama3],
      { config: (c) => Object.assign(c, { rope_scaling: null }) },
      ["error other-network"],
      /theta 500000 without scaling; in the original: theta 500000 with llama3 scaling \(factor 8/,
    ],
    [
      "another epsilon",
      [{ format: "awq", groupSize: 32 }],
      { config: (c) => Object.assign(c, { rms_norm_eps: 0.5 }) },
      ["error other-network"],
      /Epsilon of the norms: 0\.5; in the original: 0\.00001\..*rms_norm_eps/,
    ],
    [
      "the embeddings for a head",
      [{ format: "gptq", groupSize: 32 }],
      { config: (c) => Object.assign(c, { tie_word_embeddings: true }), tensors: (t) => t.delete("lm_head.weight") },
      ["error other-network"],
      /Head: the embeddings; in the original: a matrix of its own\..*tie_word_embeddings/,
    ],
    [
      "no biases",
      [
        { format: "gptq", groupSize: 32 },
        { ...packableConfig, attention_bias: true },
        addBiases(tinyTensors(packableConfig), allKinds.slice(0, 4)),
      ],
      { config: (c) => Object.assign(c, { attention_bias: false }) },
      ["error other-network"],
      /Biases of q_proj, k_proj, v_proj, o_proj: none; in the original: there/,
    ],
    [
      "no window",
      [{ format: "gptq", groupSize: 32 }, mistral],
      { config: (c) => Object.assign(c, { sliding_window: null }) },
      ["warning other-network"],
      /Beyond 16 tokens it computes another model: blocks attend to all tokens in the file, to the last 16 tokens in the original/,
    ],
  ])("%s", async (_, [change, shape, tensors], edit, codes, says) => {
    const { model, again } = await exportFor(change, shape, tensors);
    expect(codesOf(await check(await again(), { original: model }))).toEqual([]);
    const found = await check(await again(edit), { original: model });
    expect(codesOf(found)).toEqual(codes);
    expect(JSON.stringify(found.findings)).toMatch(says);
    // Layers that are sound are told so, whatever is wrong beside them.
    for (const { error, name } of found.layers!) expect(error, name).toBeLessThan(0.3);
  });

  test("without biases that the architecture always has, which is told without an original too", async () => {
    const { again } = await exportFor({ format: "gptq", groupSize: 32 }, qwen2, qkv());
    const found = await check(await again({ tensors: (t) => t.delete(`${block}.self_attn.k_proj.bias`) }));
    expect(codesOf(found)).toEqual(["error missing-tensor"]);
  });

  test("biases that only the file has, unless they are 0", async () => {
    const { model, again } = await exportFor({ format: "dense", bits: 8 });
    const biased = (change: (t: Tensors) => void) =>
      again({
        config: (c) => Object.assign(c, { attention_bias: true }),
        tensors(t) {
          addBiases(t, allKinds.slice(0, 4));
          change(t);
        },
      });
    const found = await check(await biased(() => {}), { original: model });
    expect(codesOf(found)).toEqual(["error far-from-original"]);
    expect(JSON.stringify(found.findings)).toMatch(/q_proj\.bias/);
    const zeros = (t: Tensors) => [...t.keys()].filter((name) => name.endsWith(".bias")).map((name) => zero(t, name));
    expect(codesOf(await check(await biased(zeros), { original: model }))).toEqual([]);
  });
});

test("of an architecture that is not known, matrices beside the layers are compared too", async () => {
  const config = { ...packableConfig, model_type: "gemma9", architectures: ["Gemma9ForCausalLM"] };
  const tensors = tinyTensors(packableConfig);
  const original = await openCheckpoint(tinySource(config, tensors));
  const embeddings = tensors.get("model.embed_tokens.weight")!;
  const broken = new Map(tensors).set(embeddings.spec.name, { ...embeddings, bytes: new Uint8Array(embeddings.bytes.length) });
  const codes = async (t: Tensors) => codesOf(await check(tinySource(config, t), { original })).filter((code) => code.startsWith("error"));
  expect(await codes(tensors)).toEqual([]);
  expect(await codes(broken)).toEqual(["error far-from-original"]);
});
