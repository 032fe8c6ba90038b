import { describe, expect, test } from "vitest";
import { modelCard } from "../../src/export/card";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { verifyCheckpoint } from "../../src/export/verify";
import { bf16Word, f16ToNumber, toF16, toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { codesOf } from "../../src/ops/packed";
import { withoutIdle } from "../../src/recipe/access";
import { someDivergence } from "../support/divergence";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

async function exported(config: Record<string, unknown> = tinyConfig, change = {}, tensors = tinyTensors(config)) {
  const ops = createCpuOps();
  const source = tinySource(config, tensors);
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
    expect(JSON.parse(text(files.get("recipe.json")))).toEqual(withoutIdle(recipeWith({ bits: 3 })));
    expect(text(files.get("tokenizer.json"))).toBe("{}");
  });

  test("has a model card in which a hostile name is harmless", async () => {
    const { model, report, files } = await exported();
    expect(text(files.get("README.md"))).toContain("RTN 3-bit + QEP α 0.5");
    expect(text(files.get("README.md"))).toContain(
      "| All settings, as options | `--method rtn --bits 3 --group-size -1 --zeros integer --type none --alpha 0.5 ",
    );
    const evaluation = {
      perplexityBefore: 3,
      perplexity: 4,
      divergence: someDivergence,
      blocks: report.blocks,
      tokens: 8,
      windows: 1,
      ms: 1,
    };
    const card = modelCard(
      model,
      report,
      ["wiki.txt", '<img onerror="x">| |'].map((name) => ({ text: name, evaluation })),
    );
    expect(card).toContain(
      [
        "| Perplexity on wiki.txt | 3.0000 before, 4.0000 after (8 tokens): +6.0 ± 0.2 % |",
        "| KL divergence from the source on wiki.txt | 0.0421 ± 0.0012 nats per token (median 0.0203, 99 % of tokens below 0.411, at most 1.92) |",
        "| Same top token as the source on wiki.txt | 93.1 ± 0.3 % |",
        "| Perplexity on ·img onerror··x··· · |",
      ].join("\n"),
    );
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

describe("a dense export in a chosen dtype", () => {
  const roundings = {
    f16: { dtype: "F16", config: "float16", round: toF16 },
    bf16: {
      dtype: "BF16",
      config: "bfloat16",
      round: (x: number) => toFloats(new Uint8Array(Uint16Array.of(bf16Word(x)).buffer), "BF16")[0],
    },
    f32: { dtype: "F32", config: "float32", round: Math.fround },
  } as const;

  test.each(["f16", "bf16", "f32"] as const)(
    "%s: quantized, folded and copied weights, each rounded once, and a config that says so",
    async (denseDtype) => {
      const { dtype, config, round } = roundings[denseDtype];
      // AWQ folds scales into norms; blocks 1 and 2 are copied.
      const result = await exported(tinyConfig, { denseDtype, method: "awq", blocks: 1, zeros: "real" });
      const { model, written, files, quantized, plan } = result;
      expect(JSON.parse(text(files.get("config.json"))).torch_dtype).toBe(config);
      await verifyCheckpoint(written, model, plan, quantized);
      const shards = await openShards(written);
      expect(new Set([...shards.tensors.values()].map((t) => t.dtype))).toEqual(new Set([dtype]));
      const values = async (name: string) => [...toFloats(await shards.readTensor(name), dtype)];
      for (const layer of await packed(result)) {
        const codes = codesOf(layer);
        const n = layer.shape[1];
        const points = Array.from(codes, (code, i) => round(layer.scales[Math.floor(i / n)] * code - layer.zeros[Math.floor(i / n)]));
        expect(await values(`${layer.name}.weight`)).toEqual(points);
      }
      expect(quantized.replaced.size).toBeGreaterThan(0);
      for (const [name, folded] of quantized.replaced) expect(await values(name)).toEqual([...folded].map(round));
      for (const name of ["model.embed_tokens.weight", "model.layers.2.mlp.up_proj.weight", "lm_head.weight"])
        expect(await values(name)).toEqual([...toFloats(await model.shards.readTensor(name), "F16")].map(round));
    },
  );

  test("applies to layers that are on no grid, too", async () => {
    const result = await exported(tinyConfig, { denseDtype: "f32", method: "quip" });
    const name = "model.layers.1.self_attn.o_proj";
    const layer = await result.quantized.layer(name);
    if (layer?.kind !== "dense") throw new Error("the layer is on a grid");
    const written = toFloats(await (await openShards(result.written)).readTensor(`${name}.weight`), "F32");
    expect([...written]).toEqual([...layer.words].map(f16ToNumber));
  });

  test("leaves buffers and integers as they are", async () => {
    const tensors = tinyTensors();
    const mask = { name: "model.layers.0.self_attn.mask", dtype: "F32" as const, shape: [2] };
    const ids = { name: "model.layers.0.ids.weight", dtype: "I64" as const, shape: [1] };
    tensors.set(mask.name, { spec: mask, bytes: new Uint8Array(new Float32Array([0, Number.NEGATIVE_INFINITY]).buffer) });
    tensors.set(ids.name, { spec: ids, bytes: new Uint8Array(8).fill(7) });
    const { written } = await exported(tinyConfig, { denseDtype: "bf16" }, tensors);
    const shards = await openShards(written);
    expect(shards.tensors.get(mask.name)!.dtype).toBe("F32");
    expect(await shards.readTensor(ids.name)).toEqual(new Uint8Array(8).fill(7));
  });
});

test("a sink that fails is aborted, and the error is told", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const result = await run({ ops, model, tokens: tinyTokens(), recipe: recipeWith(), emit: () => {} });
  let aborted = 0;
  const failing = {
    prepare: async () => {},
    create: async () => Promise.reject(new Error("no")),
    finish: async () => {},
    abort: async () => void aborted++,
  };
  await expect(exportCheckpoint({ model, ...result, evaluations: [], sink: failing })).rejects.toThrow("no");
  expect(aborted).toBe(1);
});
