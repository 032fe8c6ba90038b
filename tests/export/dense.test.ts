import { describe, expect, test } from "vitest";
import { modelCard } from "../../src/export/card";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16 } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { codesOf } from "../../src/ops/packed";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

async function exported(config: Record<string, unknown> = tinyConfig, change = {}) {
  const ops = createCpuOps();
  const source = tinySource(config);
  const model = await openModel({
    ...source,
    label: '<img src=x onerror="alert(1)">',
    files: [...source.files, bytesFile("tokenizer.json", "{}")],
  });
  const recipe = recipeWith({ bits: 3, groupSize: -1, ...change });
  const result = await run({ ops, model, tokens: tinyTokens(), recipe, emit: () => {} });
  const sink = memorySink();
  await exportCheckpoint({ model, ...result, evaluations: [], sink });
  const files = [...sink.files].map(([name, bytes]) => bytesFile(name, bytes));
  return { model, ...result, written: memorySource("out", files), files: sink.files };
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe("a dense export", () => {
  test("holds f16(s·(code − zero)) of every quantized layer, and everything else byte for byte", async () => {
    const { model, written, ...run } = await exported();
    const shards = await openShards(written);
    expect([...shards.tensors.keys()].sort()).toEqual([...model.shards.tensors.keys()].sort());
    for (const layer of await packed(run)) {
      const words = new Uint16Array((await shards.readTensor(`${layer.name}.weight`)).slice().buffer);
      const [out, n] = layer.shape;
      const codes = codesOf(layer);
      for (let i = 0; i < out * n; i++) {
        const row = Math.floor(i / n);
        expect(f16ToNumber(words[i])).toBe(toF16(layer.scales[row] * (codes[i] - layer.zeros[row])));
      }
    }
    for (const name of ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"])
      expect(await shards.readTensor(name)).toEqual(await model.shards.readTensor(name));
  });

  test("verifies, and a flipped bit does not", async () => {
    const { model, plan, quantized, files } = await exported();
    const read = () =>
      memorySource(
        "out",
        [...files].map(([name, bytes]) => bytesFile(name, bytes)),
      );
    await verifyCheckpoint(read(), model, plan, quantized);
    const shards = await openShards(read());
    const { start } = shards.tensors.get("model.layers.1.mlp.down_proj.weight")!;
    files.get("model.safetensors")![start + 5] ^= 1;
    await expect(verifyCheckpoint(read(), model, plan, quantized)).rejects.toThrow(
      "model.layers.1.mlp.down_proj.weight does not read back",
    );
  });

  test("brings config, recipe and tokenizer along, and loads as f16", async () => {
    const { files } = await exported({ ...tinyConfig, dtype: "bfloat16" });
    const config = JSON.parse(text(files.get("config.json")));
    expect(config).toMatchObject({ hidden_size: 24, torch_dtype: "float16" });
    expect(config).not.toHaveProperty("quantization_config");
    expect(config).not.toHaveProperty("dtype");
    expect(JSON.parse(text(files.get("recipe.json")))).toEqual(recipeWith({ bits: 3 }));
    expect(text(files.get("tokenizer.json"))).toBe("{}");
  });

  test("has a model card in which a hostile name is harmless", async () => {
    const { model, report, files } = await exported();
    expect(text(files.get("README.md"))).toContain("RTN 3-bit + QEP α 0.5");
    expect(text(files.get("README.md"))).toContain(
      "| All settings, as options | `--method rtn --bits 3 --group-size -1 --zeros integer --type none --alpha 0.5 ",
    );
    const evaluation = { perplexityBefore: 3, perplexity: 4, blocks: report.blocks, tokens: 8, windows: 1, ms: 1 };
    const card = modelCard(
      model,
      report,
      ["wiki.txt", '<img onerror="x">| |'].map((name) => ({ text: name, evaluation })),
    );
    expect(card).toContain("| Perplexity on wiki.txt | 3.0000 before, 4.0000 after (8 tokens) |\n| Perplexity on ·img onerror··x··· · |");
    expect(card).not.toMatch(/<img|onerror="/);
  });

  test("of tied embeddings writes no lm_head", async () => {
    const config = { ...tinyConfig, tie_word_embeddings: true };
    const { written } = await exported(config);
    expect((await openShards(written)).tensors.has("lm_head.weight")).toBe(false);
  });

  test("leaves layers that were not quantized in their own dtype", async () => {
    const tensors = tinyTensors();
    expect(tensors.size).toBeGreaterThan(0);
    const { model, written } = await exported(tinyConfig, { blocks: 1 });
    const shards = await openShards(written);
    const name = "model.layers.2.mlp.up_proj.weight";
    expect(await shards.readTensor(name)).toEqual(await model.shards.readTensor(name));
  });
});

test("a sink that fails is aborted, and the error is told", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const result = await run({ ops, model, tokens: tinyTokens(), recipe: recipeWith(), emit: () => {} });
  let aborted = 0;
  const failing = { create: async () => Promise.reject(new Error("no")), finish: async () => {}, abort: async () => void aborted++ };
  await expect(exportCheckpoint({ model, ...result, evaluations: [], sink: failing })).rejects.toThrow("no");
  expect(aborted).toBe(1);
});
