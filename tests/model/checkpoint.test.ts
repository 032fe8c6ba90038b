import { describe, expect, test } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { summarize } from "../../src/model/summary";
import { openDemo } from "../support/demo";
import { safetensors, tinyConfig, tinySource, tinyTensors } from "../support/tiny";

describe("opening", () => {
  test("the demo tells what it is", async () => {
    expect(summarize(await openDemo())).toMatchObject({
      architecture: "LlamaForCausalLM",
      parameters: 722_496,
      dtypes: ["BF16"],
      blocks: 12,
      files: 2,
      hasTokenizer: true,
      warnings: [],
    });
  });

  test("a missing tokenizer is a warning, not an error", async () => {
    const summary = summarize(await openModel(tinySource()));
    expect(summary.hasTokenizer).toBe(false);
    expect(summary.warnings[0]).toMatch(/tokenizer\.json is missing/);
  });

  test("a missing config.json is named", async () => {
    const source = memorySource("x", [bytesFile("model.safetensors", safetensors(tinyTensors()))]);
    await expect(openModel(source)).rejects.toMatchObject({ code: "missing-file", message: expect.stringContaining("config.json") });
  });

  test("a missing tensor is named", async () => {
    const tensors = tinyTensors();
    tensors.delete("model.layers.1.self_attn.k_proj.weight");
    await expect(openModel(tinySource(tinyConfig, tensors))).rejects.toThrow("model.layers.1.self_attn.k_proj.weight");
  });

  test("a config that contradicts the tensors says what both say", async () => {
    const source = tinySource({ ...tinyConfig, intermediate_size: 44 }, tinyTensors());
    await expect(openModel(source)).rejects.toThrow(
      "model.layers.0.mlp.gate_proj.weight in model.safetensors is 40 × 24, but config.json implies 44 × 24",
    );
  });

  test("more blocks in the files than in the config is a contradiction", async () => {
    const source = tinySource({ ...tinyConfig, num_hidden_layers: 2 }, tinyTensors());
    await expect(openModel(source)).rejects.toMatchObject({ code: "contradiction" });
  });

  test("an integer weight is refused with its dtype", async () => {
    const tensors = tinyTensors();
    const name = "model.layers.0.mlp.up_proj.weight";
    const { spec } = tensors.get(name)!;
    tensors.set(name, { spec: { ...spec, dtype: "I16" }, bytes: tensors.get(name)!.bytes });
    await expect(openModel(tinySource(tinyConfig, tensors))).rejects.toThrow(`${name} in model.safetensors is I16`);
  });
});
