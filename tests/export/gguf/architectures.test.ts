import { describe, expect, test } from "vitest";
import { formats } from "../../../src/export/entries";
import { architectureOf, networkKeys, networkNotes } from "../../../src/export/gguf/architectures";
import { parseSpec } from "../../../src/model/spec";
import type { Recipe } from "../../../src/recipe/recipe";
import { blockConfig } from "../../support/gguf";
import { recipeWith } from "../../support/recipe";

const spec = (change: object) => parseSpec({ ...blockConfig, ...change });
const keys = (change: object) => Object.fromEntries([...networkKeys(spec(change))].map(([key, { value }]) => [key, value]));
const qwen3 = { model_type: "qwen3", architectures: ["Qwen3ForCausalLM"] };
const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"] };

describe("the keys of a network", () => {
  test("are those of llama.cpp's architecture", () => {
    expect(keys({})).toEqual({
      "llama.block_count": 1,
      "llama.context_length": 64,
      "llama.embedding_length": 128,
      "llama.feed_forward_length": 128,
      "llama.attention.head_count": 4,
      "llama.attention.head_count_kv": 2,
      "llama.attention.key_length": 32,
      "llama.attention.value_length": 32,
      "llama.attention.layer_norm_rms_epsilon": 1e-5,
      "llama.rope.dimension_count": 32,
      "llama.rope.freq_base": 10000,
      "llama.vocab_size": 1024,
    });
    expect(keys({ ...qwen3, head_dim: 64 })).toMatchObject({ "qwen3.attention.key_length": 64, "qwen3.rope.dimension_count": 64 });
    expect(keys({ model_type: "qwen2" })).toHaveProperty("qwen2.block_count", 1);
  });

  test("have rope scaling where llama.cpp has it", () => {
    const scaled = (rope_scaling: object) => keys({ rope_scaling });
    expect(scaled({ type: "linear", factor: 4 })).toMatchObject({ "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 });
    const yarn = { type: "yarn", factor: 4, original_max_position_embeddings: 16 };
    expect(scaled(yarn)).toMatchObject({
      "llama.rope.scaling.type": "yarn",
      "llama.rope.scaling.factor": 4,
      "llama.rope.scaling.original_context_length": 16,
      "llama.rope.scaling.attn_factor": 1,
    });
    expect(scaled({ ...yarn, attention_factor: 0.5 })["llama.rope.scaling.attn_factor"]).toBeCloseTo(0.5 / (0.1 * Math.log(4) + 1), 12);
    expect(scaled({ type: "dynamic", factor: 4 })).not.toHaveProperty("llama.rope.scaling.type");
  });

  test("name the context up to which llama.cpp computes the same, and a note says so", () => {
    const windowed = { ...mistral, sliding_window: 16 };
    expect(keys(windowed)).toMatchObject({ "llama.context_length": 16 });
    expect(networkNotes(spec(windowed))[0]).toMatch(/attends to everything, which is the same up to 16 tokens/);
    expect(keys({ ...mistral, sliding_window: null })).toMatchObject({ "llama.context_length": 64 });
    expect(networkNotes(spec({ rope_scaling: { type: "dynamic", factor: 2 } }))[0]).toMatch(/no dynamic rope scaling.*up to 64 tokens/);
    expect(networkNotes(spec({}))).toEqual([]);
  });
});

test.each([
  [{ ...qwen3, attention_bias: true }, /llama\.cpp's qwen3 has no place for the bias of q_proj/],
  [
    { ...qwen3, rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } },
    /qwen3 has no rope scaling of type llama3/,
  ],
  [{ rope_scaling: { type: "yarn", factor: 4, beta_fast: 16 } }, /no YaRN but that with/],
  [{ rope_scaling: { type: "yarn", factor: 4, truncate: false } }, /no YaRN but that with/],
])("what llama.cpp would compute differently is refused: %j", (change, message) => {
  expect(() => architectureOf(spec(change))).toThrow(message);
});

test("a mix is told with the types that its layers have, fall-backs among them", () => {
  const told = (type: Recipe["type"], change: object) =>
    formats.gguf.notes(recipeWith({ format: "gguf", type }), { spec: spec(change), config: {} }).join(" ");
  const wide = { hidden_size: 256, head_dim: 64, intermediate_size: 512, num_hidden_layers: 8 };
  expect(told("Q4_K_M", wide)).toContain("layers as Q4_K_M, here Q4_K and Q6_K, embeddings");
  expect(told("Q6_K", wide)).toContain("layers as Q6_K, embeddings");
  expect(told("Q6_K", {})).toContain("layers as Q6_K, here Q8_0, embeddings");
});
