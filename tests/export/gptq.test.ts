import { describe, expect, test } from "vitest";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { entriesOf, exportJob, formats } from "../../src/export/entries";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16 } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";
import { LoadedBlock } from "../../src/model/block";
import { type Model, openModel } from "../../src/model/checkpoint";
import { summarize } from "../../src/model/summary";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { codesOf } from "../../src/ops/packed";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { perplexityOf, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { safetensors, tinyConfig, tinySource, tinyTokens } from "../support/tiny";

/** Every size a multiple of 32, so that 3 bits pack too. */
const config = { ...tinyConfig, hidden_size: 64, head_dim: 16, num_key_value_heads: 2, intermediate_size: 96, num_hidden_layers: 2 };
const packedRecipe = (change: Partial<Recipe>) => recipeWith({ format: "gptq", groupSize: 32, ...change });

async function exported(recipe: Recipe) {
  const ops = createCpuOps();
  const model = await openModel(tinySource(config));
  const result = await run({ ops, model, tokens: tinyTokens(), recipe, emit: () => {} });
  const sink = memorySink();
  await exportCheckpoint({ model, ...result, evaluations: [], sink });
  const source = memorySource(
    "out",
    [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
  );
  return { ops, model, ...result, source, files: sink.files };
}

async function wholeBlock(ops: Ops, model: Model, index: number): Promise<LoadedBlock> {
  const block = await LoadedBlock.open(ops, model, index);
  await block.load();
  return block;
}

/** A naive second reading of the format, value by value. */
function valueAt(words: DataView, bits: number, stride: number, column: number, i: number): number {
  let value = 0;
  for (let b = 0; b < bits; b++) {
    const bit = i * bits + b;
    const word = words.getUint32(4 * (Math.floor(bit / 32) * stride + column), true);
    value |= ((word >>> (bit % 32)) & 1) << b;
  }
  return value;
}

const view = (bytes: Uint8Array) => new DataView(new Uint8Array(bytes).buffer);
const json = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));

describe.each([
  { bits: 4 as const, symmetric: true },
  { bits: 3 as const, symmetric: false },
  { bits: 2 as const, symmetric: false },
  { bits: 8 as const, symmetric: true },
])("$bits bits, symmetric $symmetric", ({ bits, symmetric }) => {
  test("every code, zero, scale and group stands where the format puts it", async () => {
    const { source, ...run } = await exported(packedRecipe({ bits, symmetric }));
    const shards = await openShards(source);
    for (const layer of await packed(run)) {
      const [out, n] = layer.shape;
      const part = async (name: string) => view(await shards.readTensor(`${layer.name}.${name}`));
      const [qweight, qzeros, scales, gIdx] = [await part("qweight"), await part("qzeros"), await part("scales"), await part("g_idx")];
      const codes = codesOf(layer);
      const groups = n / 32;
      for (let o = 0; o < out; o += 7) for (let i = 0; i < n; i += 5) expect(valueAt(qweight, bits, out, o, i)).toBe(codes[o * n + i]);
      for (let g = 0; g < groups; g++)
        for (let o = 0; o < out; o++) {
          // qzeros row g: the bit stream runs along the outputs, so its words are neighbours.
          const row = new DataView(qzeros.buffer, (g * out * bits) / 8, (out * bits) / 8);
          expect(valueAt(row, bits, 1, 0, o)).toBe(layer.zeros[o * groups + g] - (symmetric ? 1 : 0));
          expect(f16ToNumber(scales.getUint16(2 * (g * out + o), true))).toBe(layer.scales[o * groups + g]);
        }
      for (let i = 0; i < n; i++) expect(gIdx.getInt32(4 * i, true)).toBe(Math.floor(i / 32));
    }
  });

  test("opens again as clients take it: the run's weights in f16, and the dense export's perplexity", async () => {
    const recipe = packedRecipe({ bits, symmetric });
    const { ops, model, source, ...run } = await exported(recipe);
    await verifyCheckpoint(source, model, run.plan, run.quantized);
    const again = await openModel(source);
    expect(summarize(again).packing).toContain(`GPTQ ${bits}-bit, groups of 32`);
    expect(summarize(again).parameters).toBe(summarize(model).parameters);
    const block = await wholeBlock(ops, again, 1);
    const layer = (await packed(run)).find((l) => l.name === "model.layers.1.mlp.up_proj")!;
    const codes = codesOf(layer);
    const [W] = await ops.read([block.weights.up_proj]);
    for (let i = 0; i < W.length; i++) {
      const at = Math.floor(i / 32);
      expect(W[i]).toBe(toF16(layer.scales[at] * (codes[i] - layer.zeros[at])));
    }
    const measured = await perplexityOf({ ops, model: again, tokens: tinyTokens(), emit: () => {} });
    const dense = await openModel((await exported({ ...recipe, format: "dense" })).source);
    expect(measured.perplexity).toBe((await perplexityOf({ ops, model: dense, tokens: tinyTokens(), emit: () => {} })).perplexity);
  });
});

describe("what goes beside the weights", () => {
  test("symmetric is v1, asymmetric v2, and both files say so", async () => {
    for (const [symmetric, format] of [
      [true, "gptq"],
      [false, "gptq_v2"],
    ] as const) {
      const { files } = await exported(packedRecipe({ bits: 4, symmetric }));
      const settings = json(files.get("quantize_config.json"));
      expect(settings).toMatchObject({
        quant_method: "gptq",
        bits: 4,
        group_size: 32,
        sym: symmetric,
        desc_act: false,
        checkpoint_format: format,
      });
      expect(json(files.get("config.json")).quantization_config).toEqual(settings);
    }
  });

  test("notes name the clients that refuse", () => {
    const notes = (change: Partial<Recipe>) => formats.gptq.notes(packedRecipe(change), { spec: null, config: {} }).join(" ");
    expect(notes({ bits: 4, symmetric: true })).not.toMatch(/refuse|only/);
    expect(notes({ bits: 3, symmetric: true })).toContain("refuse 3-bit GPTQ");
    expect(notes({ bits: 4, symmetric: false })).toContain("symmetric GPTQ only");
  });
});

describe("GPTQModel alone is the destination", () => {
  const mixed: Partial<Recipe> = {
    destination: "gptqmodel",
    bits: 4,
    symmetric: true,
    rules: [
      { match: "down_proj", bits: 8 },
      { match: "layers.1.self_attn.q_proj", bits: 2, groupSize: -1 },
    ],
  };

  test("layers of other bits and groups are named in `dynamic`, and open again with their weights", async () => {
    const { ops, model, source, files, ...run } = await exported(packedRecipe(mixed));
    const settings = json(files.get("quantize_config.json"));
    expect(settings.dynamic).toEqual({
      "+:.*\\.down_proj$": { bits: 8, group_size: 32 },
      "+:^model\\.layers\\.1\\.self_attn\\.q_proj$": { bits: 2, group_size: -1 },
    });
    expect(json(files.get("config.json")).quantization_config).toEqual(settings);
    await verifyCheckpoint(source, model, run.plan, run.quantized);
    const again = await openModel(source);
    expect(summarize(again).packing).toBe("GPTQ 4, 8, 2-bit, groups of 32, one scale per row");
    const block = await wholeBlock(ops, again, 1);
    for (const kind of ["q_proj", "down_proj", "up_proj"] as const) {
      const layer = (await packed(run)).find((l) => l.name.endsWith(`layers.1.${kind === "q_proj" ? "self_attn" : "mlp"}.${kind}`))!;
      const [codes, size] = [codesOf(layer), (layer.shape[0] * layer.shape[1]) / layer.scales.length];
      const [W] = await ops.read([block.weights[kind]]);
      const at = (i: number) => Math.floor(i / size);
      expect(W).toEqual(W.map((_, i) => toF16(layer.scales[at(i)] * (codes[i] - layer.zeros[at(i)]))));
    }
  });

  test("blocks that stay floats are left out by `dynamic`", async () => {
    const { files, source } = await exported(packedRecipe({ ...mixed, rules: [{ match: "down_proj", bits: 8 }], blocks: 1 }));
    // Before the patterns that fit some of their layers too: clients take the first that fits.
    expect(Object.entries(json(files.get("quantize_config.json")).dynamic)).toEqual([
      ["-:^model\\.layers\\.1\\.", {}],
      ["+:.*\\.down_proj$", { bits: 8, group_size: 32 }],
    ]);
    expect(summarize(await openModel(source)).packing).toBe("GPTQ 4, 8-bit, groups of 32");
  });

  test("a file of one kind of grid has no `dynamic`", async () => {
    const { files } = await exported(packedRecipe({ ...mixed, rules: [] }));
    expect(json(files.get("quantize_config.json"))).not.toHaveProperty("dynamic");
  });
});

describe("what the format cannot hold is refused before any work", () => {
  test.each([
    [{ blocks: 1 }, config, "only the first 1 blocks"],
    [{ rules: [{ match: "layers.1.*", bits: 8 as const }] }, config, "gives model.layers.1.self_attn.q_proj other bits"],
    [{ rules: [{ match: "o_proj", method: "quip" as const, groupSize: -1 as const }] }, config, "quip's weights are not on a grid"],
    [
      { bits: 3 as const, groupSize: -1 as const },
      { ...config, intermediate_size: 40 },
      "the 40 outputs of model.layers.0.mlp.gate_proj at 3 bits",
    ],
  ])("%j", async (change, shape, words) => {
    const model = await openModel(tinySource(shape));
    expect(() => entriesOf(exportJob(model, resolve(packedRecipe(change), model)))).toThrow(words);
  });
});

describe("a packed checkpoint from elsewhere", () => {
  const reopened = async (patch: (files: Map<string, Uint8Array>) => void) => {
    const { ops, files } = await exported(packedRecipe({ bits: 4, symmetric: true }));
    patch(files);
    const source = memorySource(
      "out",
      [...files].map(([name, bytes]) => bytesFile(name, bytes)),
    );
    return { ops, source, shards: await openShards(source) };
  };
  const weights = async (patch: Parameters<typeof reopened>[0]) => {
    const { ops, source } = await reopened(patch);
    const block = await wholeBlock(ops, await openModel(source), 0);
    return (await ops.read([block.weights.q_proj]))[0];
  };
  const patchTensor = async (name: string, change: (words: Int32Array) => void) => {
    const { shards } = await reopened(() => {});
    const { start, end } = shards.tensors.get(name)!;
    return (files: Map<string, Uint8Array>) => {
      const bytes = files.get("model.safetensors")!;
      const words = new Int32Array(bytes.slice(start, end).buffer);
      change(words);
      bytes.set(new Uint8Array(words.buffer), start);
    };
  };

  test("with act-order groups is read by its g_idx, column by column, on WebGPU as on the reference", async () => {
    const name = "model.layers.0.self_attn.q_proj";
    // As act-order leaves them: a group's 32 columns stand anywhere.
    const groupOf = Int32Array.from({ length: 64 }, (_, i) => ((i * 37) % 64 < 32 ? 1 : 0));
    const layer = (await packed(await exported(packedRecipe({ bits: 4, symmetric: true })))).find((l) => l.name === name)!;
    const codes = codesOf(layer);
    const { source } = await reopened(await patchTensor(`${name}.g_idx`, (g) => g.set(groupOf)));
    for (const ops of [createCpuOps(), await openGpuOps()]) {
      const block = await wholeBlock(ops, await openModel(source), 0);
      const [W] = await ops.read([block.weights.q_proj]);
      for (const [i, w] of W.entries()) {
        const at = 2 * Math.floor(i / 64) + groupOf[i % 64];
        expect(w).toBe(toF16(layer.scales[at] * (codes[i] - layer.zeros[at])));
      }
    }
  });

  test("may leave g_idx out where groups stand in order", async () => {
    const { shards } = await reopened(() => {});
    const plain = await weights(() => {});
    const kept = [...shards.tensors.values()].filter((t) => !t.name.endsWith(".g_idx"));
    const without = new Map();
    for (const { name, dtype, shape } of kept) without.set(name, { spec: { name, dtype, shape }, bytes: await shards.readTensor(name) });
    expect(await weights((files) => files.set("model.safetensors", safetensors(without)))).toEqual(plain);
  });

  test("whose g_idx names no group is refused", async () => {
    const patch = await patchTensor("model.layers.0.self_attn.q_proj.g_idx", (g) => g.set([9], 3));
    await expect(weights(patch)).rejects.toThrow("q_proj.g_idx names group 9 at position 3, but there are only 2 groups");
  });

  test.each([
    [{ quant_method: "awq" }, "quantized already: by AWQ"],
    [{ quant_method: "awq", version: "GEMM" }, "q_proj.qweight in model.safetensors is 8 × 64, but config.json implies 64 × 8"],
    [{ bits: 5 }, "bits is 5"],
    [{ checkpoint_format: "marlin" }, "checkpoint_format is marlin"],
    [{ dynamic: { "+:.*": { bits: 8 } }, bits: 2 }, "8 words a row, and 64 codes of 2 or 8 bits do not settle that"],
    [{ dynamic: { "+:q_proj": { bits: 5 } } }, "bits is 5"],
    [{ dynamic: { "+:q_proj": { format: "marlin" } } }, "packed in different ways (+:q_proj: format is marlin)"],
  ])("%j is refused by name", async (change, words) => {
    const { source } = await reopened((files) => {
      const all = json(files.get("config.json"));
      files.set(
        "config.json",
        new TextEncoder().encode(JSON.stringify({ ...all, quantization_config: { ...all.quantization_config, ...change } })),
      );
    });
    await expect(openModel(source)).rejects.toThrow(words);
  });

  test("cannot be quantized again", async () => {
    const { ops, source } = await reopened(() => {});
    const model = await openModel(source);
    await expect(run({ ops, model, tokens: tinyTokens(), recipe: recipeWith(), emit: () => {} })).rejects.toThrow(
      /quantized already: GPTQ 4-bit/,
    );
  });
});
