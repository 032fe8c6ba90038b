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
      slidingWindow: 0,
    });
  });

  test("without head_dim or kv heads takes the usual ones", () => {
    const { head_dim: _, num_key_value_heads: __, ...rest } = tinyConfig;
    expect(parseSpec(rest)).toMatchObject({ headDim: 6, kvHeads: 4 });
  });

  test("Mistral's sliding window, and rope settings in both places", () => {
    expect(parseSpec({ ...tinyConfig, architectures: ["MistralForCausalLM"], sliding_window: 8 }).slidingWindow).toBe(8);
    expect(parseSpec({ ...tinyConfig, rope_parameters: { rope_theta: 5e5, rope_type: "default" } }).ropeTheta).toBe(5e5);
    expect(parseSpec({ ...tinyConfig, rope_scaling: { type: "linear", factor: 2 } }).ropeScaling).toEqual({ kind: "linear", factor: 2 });
  });

  test.each([
    [{ architectures: ["GPT2LMHeadModel"] }, "unsupported-architecture", "GPT2LMHeadModel"],
    [{ architectures: undefined, model_type: "gpt2" }, "unsupported-architecture", "gpt2"],
    [{ architectures: ["__proto__"] }, "unsupported-architecture", "__proto__"],
    [{ hidden_act: "gelu" }, "unsupported-architecture", "gelu"],
    [{ rope_scaling: { rope_type: "yarn" } }, "unsupported-architecture", "yarn"],
    [{ hidden_size: undefined }, "bad-config", "hidden_size is missing"],
    [{ hidden_size: "24" }, "bad-config", "hidden_size is not a positive whole number"],
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
