import { describe, expect, test } from "vitest";
import { ropeTables } from "../../src/model/rope";
import { parseSpec } from "../../src/model/spec";
import { tinyConfig } from "../support/tiny";

const code = (change: Record<string, unknown>) => {
  try {
    parseSpec({ ...tinyConfig, ...change });
  } catch (e) {
    return e as { code: string; message: string };
  }
  return null;
};

describe("config.json", () => {
  test("gives the shape", () => {
    expect(parseSpec(tinyConfig)).toMatchObject({
      blocks: 3,
      hidden: 24,
      heads: 4,
      kvHeads: 2,
      headDim: 6,
      tied: false,
      ropeTheta: 10000,
      slidingWindows: [0, 0, 0],
    });
  });

  test("without head_dim or kv heads takes the usual ones", () => {
    const { head_dim: _, num_key_value_heads: __, ...rest } = tinyConfig;
    expect(parseSpec(rest)).toMatchObject({ headDim: 6, kvHeads: 4 });
  });

  const mistral = { ...tinyConfig, architectures: ["MistralForCausalLM"], model_type: "mistral" };
  const qwen = { ...tinyConfig, architectures: ["Qwen2ForCausalLM"], model_type: "qwen2" };
  const [full, sliding] = ["full_attention", "sliding_attention"];

  test.each<[string, Record<string, unknown>, number[]]>([
    ["Mistral's window", { ...mistral, sliding_window: 8 }, [8, 8, 8]],
    ["Mistral's default", mistral, [4096, 4096, 4096]],
    ["Mistral without one", { ...mistral, sliding_window: null }, [0, 0, 0]],
    ["Mistral's layer types", { ...mistral, sliding_window: 8, layer_types: [full, sliding, full] }, [0, 8, 0]],
    ["Qwen2 without sliding", { ...qwen, sliding_window: 8 }, [0, 0, 0]],
    ["Qwen2 beyond max_window_layers", { ...qwen, use_sliding_window: true, sliding_window: 8, max_window_layers: 2 }, [0, 0, 8]],
    ["Qwen2 where no layer slides", { ...qwen, use_sliding_window: true, sliding_window: 8, max_window_layers: 3 }, [0, 0, 0]],
    ["Qwen2's layer types", { ...qwen, use_sliding_window: true, sliding_window: 8, layer_types: [sliding, full, full] }, [8, 0, 0]],
    ["Llama, which looks at none of it", { ...tinyConfig, sliding_window: 8, layer_types: [sliding, sliding, sliding] }, [0, 0, 0]],
  ])("windows by block: %s", (_, config, windows) => {
    expect(parseSpec(config).slidingWindows).toEqual(windows);
  });

  test("model_type chooses the family, whatever the architecture's name, and defaults are the family's", () => {
    expect(parseSpec({ ...tinyConfig, architectures: undefined, model_type: "qwen3" })).toMatchObject({
      architecture: "Qwen3ForCausalLM",
      qkNorm: true,
    });
    expect(parseSpec({ ...tinyConfig, architectures: ["LLaMAForCausalLM"] }).architecture).toBe("LlamaForCausalLM");
    expect(parseSpec({ ...tinyConfig, architectures: ["LlamaForCausalLMEagle3", "LlamaForCausalLM"] }).architecture).toBe(
      "LlamaForCausalLM",
    );
    expect(parseSpec({ ...tinyConfig, model_type: undefined }).architecture).toBe("LlamaForCausalLM");
    const bare = {
      ...mistral,
      num_attention_heads: 8,
      hidden_size: 64,
      num_key_value_heads: undefined,
      max_position_embeddings: undefined,
    };
    expect(parseSpec(bare)).toMatchObject({ kvHeads: 8, maxPositions: 131_072 });
    expect(parseSpec({ ...bare, num_attention_heads: 4, num_key_value_heads: null })).toMatchObject({ kvHeads: 4 });
    expect(parseSpec({ ...qwen, model_type: "qwen3", architectures: undefined, head_dim: undefined }).headDim).toBe(128);
  });

  test("biases are where the config has them", () => {
    const biases = (config: Record<string, unknown>) => [...parseSpec(config).biases];
    expect(biases(tinyConfig)).toEqual([]);
    expect(biases({ ...tinyConfig, attention_bias: true })).toEqual(["q_proj", "k_proj", "v_proj", "o_proj"]);
    expect(biases({ ...tinyConfig, mlp_bias: true })).toEqual(["gate_proj", "up_proj", "down_proj"]);
    expect(biases({ ...mistral, attention_bias: true, mlp_bias: true })).toEqual([]);
    expect(biases({ ...qwen, attention_bias: false })).toEqual(["q_proj", "k_proj", "v_proj"]);
  });

  test("rope settings in all places, rope_scaling first", () => {
    const yarn = { type: "yarn", factor: 4, original_max_position_embeddings: 16 };
    const both = parseSpec({ ...tinyConfig, rope_parameters: { rope_type: "default", rope_theta: 5e5 }, rope_scaling: yarn });
    expect(both).toMatchObject({
      ropeTheta: 10_000,
      ropeScaling: { kind: "yarn", factor: 4, originalPositions: 16, attentionFactor: 0.1 * Math.log(4) + 1 },
    });
    const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    expect(parseSpec({ ...tinyConfig, rope_parameters: llama3 }).ropeScaling).toMatchObject({ originalPositions: 64 });
    expect(parseSpec({ ...tinyConfig, rope_parameters: llama3, original_max_position_embeddings: 32 }).ropeScaling).toMatchObject({
      originalPositions: 32,
    });
    expect(parseSpec({ ...tinyConfig, rope_scaling: {}, rope_parameters: { rope_theta: 5e5 } }).ropeTheta).toBe(5e5);
    expect(parseSpec({ ...tinyConfig, rope_scaling: null, partial_rotary_factor: 0.5 }).ropeScaling).toEqual({ kind: "default" });
    expect(parseSpec({ ...tinyConfig, rope_parameters: { rope_theta: 5e5, rope_type: "default" } }).ropeTheta).toBe(5e5);
    expect(parseSpec({ ...tinyConfig, rope_scaling: { type: "linear", factor: 2 } }).ropeScaling).toEqual({ kind: "linear", factor: 2 });
  });

  test.each([
    [{ architectures: ["GPT2LMHeadModel"] }, "unsupported-architecture", "GPT2LMHeadModel"],
    [{ architectures: undefined, model_type: "gpt2" }, "unsupported-architecture", "gpt2"],
    [{ architectures: ["__proto__"] }, "unsupported-architecture", "__proto__"],
    [{ hidden_act: "gelu" }, "unsupported-architecture", "gelu"],
    [{ rope_scaling: { rope_type: "longrope" } }, "unsupported-architecture", "rope type longrope"],
    [
      { rope_scaling: { rope_type: "linear", factor: 2, partial_rotary_factor: 0.5 } },
      "unsupported-architecture",
      "partial_rotary_factor 0.5",
    ],
    [{ rope_scaling: { rope_type: "linear" } }, "bad-config", "rope_scaling's factor is not a positive number"],
    [{ rope_parameters: { full_attention: { rope_theta: 1e6 } } }, "unsupported-architecture", "rope_parameters by layer type"],
    [{ rope_parameters: "yarn" }, "bad-config", "rope_parameters is not an object"],
    [
      { model_type: "qwen2", layer_types: ["sliding_attention", "full_attention", "full_attention"] },
      "bad-config",
      "use_sliding_window is not true",
    ],
    [{ model_type: "mistral", layer_types: ["sliding_attention"] }, "bad-config", "each of the 3 blocks"],
    [{ model_type: "mistral", layer_types: ["x", "x", "x"] }, "unsupported-architecture", "layer_types has x"],
    [{ architectures: ["LlamaForSequenceClassification"] }, "unsupported-architecture", "LlamaForSequenceClassification"],
    [{ architectures: ["LlamaModel"] }, "unsupported-architecture", "LlamaModel"],
    [{ model_type: "mamba2" }, "unsupported-architecture", "LlamaForCausalLM"],
    // transformers fails on each of these; a default in its place would be another model.
    [{ rope_theta: "500000" }, "bad-config", "rope_theta is not a positive number"],
    [{ rope_theta: true }, "bad-config", "rope_theta is not a positive number"],
    [{ rope_parameters: { rope_type: "default", rope_theta: null } }, "bad-config", "rope_theta is not a positive number"],
    [{ rope_parameters: { rope_type: null, type: "linear", factor: 2 } }, "unsupported-architecture", "rope type null"],
    [{ rope_scaling: { type: "yarn", original_max_position_embeddings: 16 } }, "bad-config", "factor is not a positive number"],
    [
      { rope_scaling: { type: "yarn", factor: 2, original_max_position_embeddings: null } },
      "bad-config",
      "original_max_position_embeddings",
    ],
    [{ tie_word_embeddings: 1 }, "bad-config", "tie_word_embeddings is neither true nor false"],
    [{ attention_bias: 1 }, "bad-config", "attention_bias is neither true nor false"],
    [{ hidden_size: undefined }, "bad-config", "hidden_size is missing"],
    [{ hidden_size: "24" }, "bad-config", "hidden_size is not a positive whole number"],
    [{ num_hidden_layers: 2e9 }, "bad-config", "num_hidden_layers is 2000000000, more than the 10000"],
    [{ num_hidden_layers: 0 }, "bad-config", "num_hidden_layers"],
    [{ num_hidden_layers: 1e99 }, "bad-config", "num_hidden_layers"],
    [{ num_key_value_heads: 3 }, "bad-config", "num_key_value_heads (3) does not divide num_attention_heads (4)"],
    [{ head_dim: 7 }, "bad-config", "odd"],
    [{ head_dim: undefined, hidden_size: 26 }, "bad-config", "does not divide hidden_size"],
    [{ rms_norm_eps: -1 }, "bad-config", "rms_norm_eps"],
    [{ rope_theta: 0 }, "bad-config", "rope_theta"],
  ])("%j is %s", (change, expected, words) => {
    expect(code(change)).toMatchObject({ code: expected });
    expect(code(change)!.message).toContain(words);
  });

  test.each([null, [], "x", 3])("%j is not a config", (value) => {
    expect(() => parseSpec(value)).toThrow(/not a JSON object/);
  });
});

test("yarn's settings are true and false as Python takes them", () => {
  const scaling = (change: Record<string, unknown>) =>
    parseSpec({ ...tinyConfig, rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 16, ...change } }).ropeScaling;
  expect(scaling({})).toMatchObject({ truncate: true, betaFast: 32, betaSlow: 1 });
  for (const off of [false, null, 0]) expect(scaling({ truncate: off })).toMatchObject({ truncate: false });
  expect(scaling({ beta_fast: 0, beta_slow: null })).toMatchObject({ betaFast: 32, betaSlow: 1 });
  expect(scaling({ factor: null })).toMatchObject({ factor: 4 });
});

test("yarn's cos and sin are transformers'", () => {
  // ROPE_INIT_FUNCTIONS["yarn"] of transformers 5.23 with these settings: inv_freq and the attention factor.
  const rope = {
    rope_type: "yarn",
    rope_theta: 10000,
    factor: 4,
    original_max_position_embeddings: 2048,
    truncate: false,
    beta_fast: 8,
    beta_slow: 2,
  };
  const spec = parseSpec({ ...tinyConfig, head_dim: 16, max_position_embeddings: 8192, rope_parameters: rope });
  const { cos, sin, half } = ropeTables(spec, 2);
  const frequencies = [1.0, 0.316227764, 0.100000001, 0.0316227786, 0.00514242891, 0.000790569466, 0.000250000012, 7.90569466e-5];
  for (const [i, f] of frequencies.entries()) {
    expect(cos[half + i]).toBeCloseTo(1.138629436111989 * Math.cos(f), 6);
    expect(sin[half + i]).toBeCloseTo(1.138629436111989 * Math.sin(f), 6);
  }
});

test("linear rope scaling divides every position by its factor", () => {
  const spec = (scaling: object) => parseSpec({ ...tinyConfig, head_dim: 8, ...scaling });
  const scaled = ropeTables(spec({ rope_scaling: { type: "linear", factor: 4 } }), 13);
  const plain = ropeTables(spec({}), 4);
  // Position 4·t turns as far as position t does without it.
  for (let t = 0; t < 4; t++)
    for (let i = 0; i < plain.half; i++) {
      expect(scaled.cos[4 * t * plain.half + i]).toBeCloseTo(plain.cos[t * plain.half + i], 12);
      expect(scaled.sin[4 * t * plain.half + i]).toBeCloseTo(plain.sin[t * plain.half + i], 12);
    }
  // And the positions between are turned at all: the slowest pair by a quarter of its own frequency.
  expect(scaled.sin[plain.half]).toBeCloseTo(Math.sin(1 / 4), 12);
});

test("dynamic rope scaling is none within the trained length, and stretches the base beyond it", () => {
  const spec = parseSpec({ ...tinyConfig, head_dim: 8, rope_scaling: { type: "dynamic", factor: 3 } });
  const plain = { ...spec, ropeScaling: { kind: "default" } as const };
  expect(ropeTables(spec, 64)).toEqual(ropeTables(plain, 64));
  // transformers' base: θ·(factor·length/positions − (factor − 1))^(d/(d − 2)), for twice the length.
  const base = 10_000 * 4 ** (8 / 6);
  expect(ropeTables(spec, 128)).toEqual(ropeTables({ ...plain, ropeTheta: base }, 128));
});

test("llama3's limits may be swapped, as transformers takes them", () => {
  const scaling = { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 1, original_max_position_embeddings: 64 };
  const spec = parseSpec({ ...tinyConfig, head_dim: 16, hidden_size: 64, rope_scaling: scaling });
  const turned = (i: number) => Math.asin(ropeTables(spec, 2).sin[spec.headDim / 2 + i]) / 10_000 ** (-i / 8);
  // 64 positions turn it 10.2, 3.2 and 1.02 times: below 4, all are divided.
  expect([1, 2].map((i) => turned(i) * 8)).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)]);
});

test("llama3's rope scaling keeps high frequencies, divides low ones, and blends between", () => {
  const scaling = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
  const spec = parseSpec({ ...tinyConfig, head_dim: 16, hidden_size: 64, rope_scaling: scaling });
  const plain = ropeTables({ ...spec, ropeScaling: { kind: "default" } }, 2);
  const scaled = ropeTables(spec, 2);
  const ratio = (i: number) => scaled.sin[spec.headDim / 2 + i] / plain.sin[spec.headDim / 2 + i];
  expect(ratio(0)).toBe(1);
  expect(ratio(7)).toBeCloseTo(1 / 8, 4);
  const middle = [1, 2, 3, 4, 5, 6].map(ratio);
  expect(middle.some((r) => r > 0.13 && r < 0.99)).toBe(true);
});
