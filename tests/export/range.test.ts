import { describe, expect, test } from "vitest";
import { QuantError } from "../../src/errors";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { verifyCheckpoint } from "../../src/export/verify";
import { toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import type { Dtype, Sink, SourceFile } from "../../src/io/types";
import { loadTensor, openModel } from "../../src/model/checkpoint";
import { finalNormName } from "../../src/model/layers";
import { createCpuOps } from "../../src/ops/cpu";
import { restoreLayer } from "../../src/quant/coded";
import type { Recipe } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { safetensors, type Tensors, tinyConfig, tinyTensors, tinyTokens } from "../support/tiny";

const down = "model.layers.0.mlp.down_proj.weight";
const norm = finalNormName;

/** All tensors as bf16, one value of one of them changed. */
function bf16With(name: string, index: number, value: number): Tensors {
  const tensors: Tensors = new Map();
  for (const [key, { spec, bytes }] of tinyTensors({ ...tinyConfig, head_dim: 8, hidden_size: 32, intermediate_size: 64 })) {
    const values = toFloats(bytes, spec.dtype as Dtype);
    if (key === name) values[index] = value;
    const words = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
    tensors.set(key, { spec: { ...spec, dtype: "BF16" }, bytes: new Uint8Array(words.buffer) });
  }
  return tensors;
}

async function quantized(tensors: Tensors, change: Partial<Recipe>, more: SourceFile[] = []) {
  const config = { ...tinyConfig, head_dim: 8, hidden_size: 32, intermediate_size: 64, torch_dtype: "bfloat16" };
  const model = await openModel(
    memorySource("tiny", [bytesFile("config.json", JSON.stringify(config)), bytesFile("model.safetensors", safetensors(tensors)), ...more]),
  );
  const ops = createCpuOps();
  const recipe = recipeWith({ bits: 4, groupSize: 32, method: "rtn", ...change });
  return { ops, model, ...(await run({ ops, model, tokens: tinyTokens(), recipe, emit: () => {} })) };
}

type Finished = Awaited<ReturnType<typeof quantized>>;

async function written({ model, plan, quantized, report }: Finished, change: (files: Map<string, Uint8Array>) => void = () => {}) {
  const sink = memorySink();
  await exportCheckpoint({ model, plan, quantized, report, evaluations: [], sink });
  change(sink.files);
  return {
    sink,
    source: memorySource(
      "out",
      [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
    ),
  };
}

const configOf = (files: Map<string, Uint8Array>) => JSON.parse(new TextDecoder().decode(files.get("config.json")));

describe("a weight that f16 cannot hold", () => {
  test("is kept in f32 by a dense export, whose config says float32, exactly as it was measured", async () => {
    const result = await quantized(bf16With(down, 3, 1e5), {});
    const { sink, source } = await written(result);
    expect(configOf(sink.files).torch_dtype).toBe("float32");
    const shards = await openShards(source);
    expect([...shards.tensors.values()].filter((t) => t.dtype === "F32").map((t) => t.name)).toEqual([down]);
    const got = toFloats(await shards.readTensor(down), "F32");
    const [want] = await result.ops.read([restoreLayer(result.ops, (await result.quantized.layer(down.replace(".weight", "")))!)]);
    expect(got.every(Number.isFinite)).toBe(true);
    expect(got.some((x) => Math.abs(x) > 65504)).toBe(true);
    expect([...got]).toEqual([...want].map(Math.fround));
    await verifyCheckpoint(source, result.model, result.plan, result.quantized);
    await expect(loadTensor(result.ops, await openModel(source), down)).resolves.toBeDefined();
  });

  test("is refused by a packed format when its layer is done, naming tensor and value", async () => {
    await expect(quantized(bf16With(down, 3, 1e5), { format: "gptq", symmetric: true })).rejects.toThrow(
      /A weight is beyond the range of f16: model\.layers\.0\.mlp\.down_proj\.weight holds -?\d{5,6}.* at index \d+.*Use the dense format/,
    );
  });

  test("that is copied makes the config say float32, or a packed format refuse before the run", async () => {
    const tensors = bf16With(norm, 5, 70_000);
    const dense = await written(await quantized(tensors, {}));
    expect(configOf(dense.sink.files).torch_dtype).toBe("float32");
    await expect(quantized(tensors, { format: "gptq", symmetric: true })).rejects.toThrow(/model\.norm\.weight holds 69632 at index 5/);
  });

  test.each(["bf16", "f32"] as const)("fits a dense export in %s, whose config says so", async (denseDtype) => {
    const { sink, source } = await written(await quantized(bf16With(down, 3, 1e5), { denseDtype }));
    const dtype = denseDtype === "bf16" ? "BF16" : "F32";
    expect(configOf(sink.files).torch_dtype).toBe(denseDtype === "bf16" ? "bfloat16" : "float32");
    const values = toFloats(await (await openShards(source)).readTensor(down), dtype);
    expect(values.some((x) => Math.abs(x) > 65504)).toBe(true);
  });

  test("is refused by a dense export in f16, quantized or copied", async () => {
    const words = /holds -?\d{5,6}.* at index \d+, and f16 holds 65504 at most.*Choose bf16, f32 or auto/;
    await expect(quantized(bf16With(down, 3, 1e5), { denseDtype: "f16" })).rejects.toThrow(words);
    await expect(quantized(bf16With(norm, 5, 70_000), { denseDtype: "f16" })).rejects.toThrow(words);
  });

  test("leaves an ordinary export in f16", async () => {
    expect(configOf((await written(await quantized(bf16With(down, 3, 1), {}))).sink.files).torch_dtype).toBe("float16");
  });
});

describe("values that are not finite", () => {
  test("in a tensor that no run looks at are found before it", async () => {
    const tensors = bf16With(down, 3, 1);
    const extra = { name: "model.layers.0.extra.weight", dtype: "F32" as const, shape: [2] };
    tensors.set(extra.name, { spec: extra, bytes: new Uint8Array(new Float32Array([1, Number.NaN]).buffer) });
    const mask = { ...extra, name: "model.layers.0.self_attn.masked_bias_buffer" };
    tensors.set(mask.name, { spec: mask, bytes: new Uint8Array(new Float32Array([0, Number.NEGATIVE_INFINITY]).buffer) });
    await expect(quantized(tensors, {})).rejects.toThrow(/NaN or infinity: model\.layers\.0\.extra\.weight is NaN or infinite at index 1/);
  });

  test("are found by verify even where they read back as written", async () => {
    const result = await quantized(bf16With(norm, 5, 70_000), {});
    const { source } = await written(result, (files) => {
      const config = { ...configOf(files), torch_dtype: "float16" };
      files.set("config.json", new TextEncoder().encode(JSON.stringify(config)));
    });
    await expect(verifyCheckpoint(source, result.model, result.plan, result.quantized)).rejects.toThrow(
      /model\.norm\.weight becomes infinite in the float16/,
    );
  });

  test("and verify compares what was copied too", async () => {
    const result = await quantized(bf16With(down, 3, 1), {});
    const { source } = await written(result, (files) => {
      const bytes = files.get("model.safetensors")!;
      bytes[bytes.length - 1] ^= 1;
    });
    await expect(verifyCheckpoint(source, result.model, result.plan, result.quantized)).rejects.toThrow(/does not read back/);
  });
});

test("an export that does not read back as it was written leaves nothing", async () => {
  const { model, plan, quantized: made, report } = await quantized(bf16With(down, 3, 1), {});
  const sink = memorySink();
  const damaging: Sink = {
    ...sink,
    finish: (check) => {
      sink.files.get("model.safetensors")![5000] ^= 1;
      return sink.finish(check);
    },
  };
  await expect(exportCheckpoint({ model, plan, quantized: made, report, evaluations: [], sink: damaging })).rejects.toMatchObject({
    code: "verify-failed",
  });
  expect(sink.files.size).toBe(0);
  expect(sink.finished).toBe(false);
});

test("the sink hears the bytes of an export before any is written, and may refuse them", async () => {
  const side = [bytesFile("LICENSE", "of whom"), bytesFile("vocab.txt", "a b c")];
  const result = await quantized(bf16With(down, 3, 1), {}, side);
  const { model, plan, report, quantized: made } = result;
  const heard: number[] = [];
  const inner = memorySink();
  const counting: Sink = {
    ...inner,
    async prepare(bytes) {
      expect(inner.files.size).toBe(0);
      heard.push(bytes);
    },
  };
  await exportCheckpoint({ model, plan, quantized: made, report, evaluations: [], sink: counting });
  const copied = model.source.files.filter(({ name }) => !name.endsWith(".safetensors")).reduce((sum, { size }) => sum + size, 0);
  expect(heard).toEqual([inner.files.get("model.safetensors")!.length + copied]);

  const opened: string[] = [];
  let aborted = false;
  const full: Sink = {
    ...memorySink(),
    prepare: () => Promise.reject(new QuantError("disk-full", "the zip")),
    create: (name) => Promise.reject(new Error(`${opened.push(name)}`)),
    async abort() {
      aborted = true;
    },
  };
  await expect(exportCheckpoint({ model, plan, quantized: made, report, evaluations: [], sink: full })).rejects.toMatchObject({
    code: "disk-full",
  });
  expect({ opened, aborted }).toEqual({ opened: [], aborted: true });
});

test("every small side file is copied, weights, indexes and what the export has by itself are not", async () => {
  const kept = [
    "LICENSE",
    "chat_template.jinja",
    "modeling_tiny.py",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "vocab.txt",
  ];
  const left = [
    "README.md",
    "Recipe.json",
    ".gitattributes",
    "adapter_config.json",
    "consolidated.00.pth",
    "model.safetensors.index.json.bak.gguf",
    "params.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "quantize_config.json",
  ];
  const files = [...kept, ...left].map((name) => bytesFile(name, name === "tokenizer.json" ? "{}" : `of ${name}`));
  const { sink } = await written(await quantized(bf16With(down, 3, 1), {}, files));
  const made = ["README.md", "certificate.json", "config.json", "model.safetensors", "recipe.json"];
  expect([...sink.files.keys()].sort()).toEqual([...kept, ...made].sort());
  expect(new TextDecoder().decode(sink.files.get("LICENSE"))).toBe("of LICENSE");
  expect(new TextDecoder().decode(sink.files.get("README.md"))).toContain("# tiny");
});
