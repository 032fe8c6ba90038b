import { beforeAll, describe, expect, test } from "vitest";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { onnxContainer } from "../../src/export/containers/onnx";
import { entriesOf, exportJob, formats, layoutOf } from "../../src/export/entries";
import { GraphBuilder } from "../../src/export/onnx/graph";
import { placedTensors } from "../../src/export/onnx/proto";
import { tokenizerFiles } from "../../src/export/onnx/small-files";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16Words, toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { fieldsOf } from "../../src/io/protobuf";
import { openModel } from "../../src/model/checkpoint";
import { ropeTables } from "../../src/model/rope";
import { createCpuOps } from "../../src/ops/cpu";
import { codesOf } from "../../src/ops/packed";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { packed } from "../support/stage";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const config = { ...tinyConfig, hidden_size: 64, head_dim: 16, intermediate_size: 96, num_hidden_layers: 2 };
const onnxRecipe = (change: Partial<Recipe> = {}) => recipeWith({ format: "onnx", groupSize: 32, ...change });

async function exported(recipe: Recipe, change: Record<string, unknown> = {}, more: Record<string, string> = {}) {
  const source = tinySource({ ...config, ...change });
  const files = [...source.files, ...Object.entries(more).map(([name, text]) => bytesFile(name, text))];
  const model = await openModel({ ...source, files });
  const result = await run({ ops: createCpuOps(), model, tokens: tinyTokens(), recipe });
  const sink = memorySink();
  const told = await exportCheckpoint({ model, ...result, evaluations: [], sink });
  return { model, ...result, files: sink.files, told };
}

const sourceOf = (files: ReadonlyMap<string, Uint8Array | string>) =>
  memorySource(
    "out",
    [...files].map(([name, content]) => bytesFile(name, content)),
  );

const json = (bytes: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(bytes));

/** A tensor's bytes, from where the graph says that they are. */
function tensorOf(files: ReadonlyMap<string, Uint8Array>, graph: string, name: string): Uint8Array {
  const { file, offset, bytes } = placedTensors(files.get(`onnx/${graph}`)!).find(({ spec }) => spec.name === name)!;
  return files.get(`onnx/${file}`)!.slice(offset, offset + bytes);
}

/** A second reading of MatMulNBits, bit by bit: value i of a stream, lowest bits first. */
function valueAt(bytes: Uint8Array, bits: number, i: number): number {
  let value = 0;
  for (let b = 0; b < bits; b++) value |= ((bytes[(i * bits + b) >> 3] >> ((i * bits + b) & 7)) & 1) << b;
  return value;
}

describe.each([
  { bits: 2 as const, symmetric: true, groupSize: 32 as const, graph: "model_q2.onnx", fileBits: 2, block: 32 },
  { bits: 3 as const, symmetric: false, groupSize: 32 as const, graph: "model_q4.onnx", fileBits: 4, block: 32 },
  { bits: 3 as const, symmetric: true, groupSize: -1 as const, graph: "model_q4.onnx", fileBits: 4, block: 64 },
  { bits: 8 as const, symmetric: false, groupSize: -1 as const, graph: "model_quantized.onnx", fileBits: 8, block: 64 },
])("$bits bits, symmetric $symmetric, groups of $groupSize", ({ bits, symmetric, groupSize, graph, fileBits, block }) => {
  test("every code, zero and scale stands where MatMulNBits looks for it, and makes the run's own weight", async () => {
    const result = await exported(onnxRecipe({ bits, symmetric, groupSize }));
    for (const layer of await packed(result)) {
      const [out, n] = layer.shape;
      // The largest power of two that divides a row of 96 is 32.
      const size = n === 96 ? 32 : block;
      const [count, groups] = [n / size, layer.scales.length / out];
      const part = (name: string) => tensorOf(result.files, graph, `${layer.name}.${name}`);
      const [codes, scales] = [part("qweight"), toFloats(part("scales"), "F32")];
      const zeros = symmetric ? null : part("qzeros");
      const own = codesOf(layer);
      expect(codes.length).toBe((out * n * fileBits) / 8);
      for (let o = 0; o < out; o += 3)
        for (let i = 0; i < n; i += 5) {
          const at = Math.floor(i / size);
          const zeroRow = zeros?.subarray((o * zeros.length) / out, ((o + 1) * zeros.length) / out);
          const zero = zeroRow ? valueAt(zeroRow, fileBits, at) : 2 ** (fileBits - 1);
          const group = o * groups + Math.floor((i * groups) / n);
          const value = scales[o * count + at] * (valueAt(codes, fileBits, o * n + i) - zero);
          expect(value).toBe(layer.scales[group] * (own[o * n + i] - layer.zeros[group]));
        }
    }
  });
});

test("rows that no block divides end in a block that is not full", async () => {
  const result = await exported(onnxRecipe({ bits: 4, groupSize: -1 }), { intermediate_size: 72 });
  const layer = (await packed(result)).find(({ name }) => name === "model.layers.1.mlp.down_proj")!;
  const codes = tensorOf(result.files, "model_q4.onnx", `${layer.name}.qweight`);
  const own = codesOf(layer);
  // Three blocks of 32 for 72 inputs.
  for (let o = 0; o < 64; o++) for (let i = 0; i < 96; i++) expect(valueAt(codes, 4, o * 96 + i)).toBe(i < 72 ? own[o * 72 + i] : 0);
});

describe("what is not quantized", () => {
  test("stays as it is where it is a matrix; norms and rotary tables are in the type that the graph computes in", async () => {
    const { model, files } = await exported(onnxRecipe({ bits: 4, blocks: 1 }));
    const of = (name: string) => tensorOf(files, "model_q4.onnx", name);
    for (const name of ["model.embed_tokens.weight", "lm_head.weight", "model.layers.1.mlp.up_proj.weight"])
      expect(of(name)).toEqual(await model.shards.readTensor(name));
    const norm = "model.layers.1.input_layernorm.weight";
    expect(toFloats(of(norm), "F32")).toEqual(toFloats(await model.shards.readTensor(norm), "F16"));
    const { cos, sin } = ropeTables(model.spec, 64);
    expect(toFloats(of("cos_cache"), "F32")).toEqual(Float32Array.from(cos));
    expect(toFloats(of("sin_cache"), "F32")).toEqual(Float32Array.from(sin));
  });

  test("is f16 where the graph computes in it", async () => {
    const { model, files, ...result } = await exported(onnxRecipe({ bits: 2, format: "onnx-f16" }));
    const of = (name: string) => tensorOf(files, "model_q2f16.onnx", name);
    expect(of("model.norm.weight")).toEqual(await model.shards.readTensor("model.norm.weight"));
    expect(new Uint16Array(of("cos_cache").buffer)).toEqual(toF16Words(ropeTables(model.spec, 64).cos));
    const [layer] = await packed(result);
    expect(Float32Array.from(new Uint16Array(of(`${layer.name}.scales`).buffer), f16ToNumber)).toEqual(layer.scales);
  });

  test("a tied head is the embedding, which the file has once", async () => {
    const { files } = await exported(onnxRecipe({ bits: 4 }), { tie_word_embeddings: true });
    const names = placedTensors(files.get("onnx/model_q4.onnx")!).map(({ spec }) => spec.name);
    expect(names.filter((name) => /embed|head/.test(name))).toEqual(["model.embed_tokens.weight"]);
  });

  test("rotary tables end where no browser could go on", async () => {
    const model = await openModel(tinySource({ ...config, max_position_embeddings: 2 ** 31 }));
    const recipe = onnxRecipe({ bits: 4 });
    const cos = entriesOf(exportJob(model, resolve(recipe, model))).find(({ spec }) => spec.name === "cos_cache")!;
    expect(cos.spec.shape).toEqual([131_072, 8]);
    expect(formats.onnx.notes(recipe, model).join(" ")).toContain("end after 131,072 tokens");
  });
});

describe("the files", () => {
  let good: Awaited<ReturnType<typeof exported>>;
  beforeAll(async () => {
    good = await exported(onnxRecipe({ bits: 4 }));
  });

  test("are those that were planned, and graph and data verify", async () => {
    const { model, plan, files, told } = good;
    const { fileBytes } = await layoutOf(exportJob(model, plan));
    const names = ["onnx/model_q4.onnx", "onnx/model_q4.onnx_data"];
    expect(told.files.slice(0, 2)).toEqual(names);
    expect(names.reduce((sum, name) => sum + files.get(name)!.length, 0)).toBe(fileBytes);
  });

  test.each<[string, (files: Map<string, Uint8Array>) => void, RegExp]>([
    ["a bit of a code", (f) => flip(f, "model.layers.0.mlp.up_proj.qweight"), /up_proj\.qweight does not read back/],
    ["a bit of a rotary table", (f) => flip(f, "sin_cache"), /sin_cache does not read back/],
    ["another operator", (f) => rename(f, "Sigmoid", "Softmax"), /model_q4\.onnx does not read back/],
    ["another input", (f) => rename(f, "input_ids", "inputs_id"), /model_q4\.onnx does not read back/],
    ["another tensor", (f) => rename(f, "sin_cache", "cos_cache"), /model_q4\.onnx does not read back/],
    ["a graph that was cut off", (f) => f.set("onnx/model_q4.onnx", f.get("onnx/model_q4.onnx")!.slice(0, 3000)), /protobuf/],
    ["no graph", (f) => f.delete("onnx/model_q4.onnx"), /model_q4\.onnx is missing/],
    ["no data", (f) => f.delete("onnx/model_q4.onnx_data"), /model_q4\.onnx_data is missing/],
  ])("with %s do not verify", async (_, change, words) => {
    const { model, plan, quantized } = good;
    const files = new Map([...good.files].map(([name, bytes]) => [name, bytes.slice()]));
    await verifyCheckpoint(sourceOf(files), model, plan, quantized);
    change(files);
    await expect(verifyCheckpoint(sourceOf(files), model, plan, quantized)).rejects.toThrow(words);
  });

  test("a side file has no place where a folder is", async () => {
    const { files } = await exported(onnxRecipe({ bits: 4 }), {}, { onnx: "a file of this name", notes: "another" });
    expect([...files.keys()]).toContain("notes");
    expect([...files.keys()]).not.toContain("onnx");
  });
});

/** Changes the first bit of a tensor's third byte. */
function flip(files: Map<string, Uint8Array>, name: string): void {
  const { file, offset } = placedTensors(files.get("onnx/model_q4.onnx")!).find(({ spec }) => spec.name === name)!;
  files.get(`onnx/${file}`)![offset + 2] ^= 1;
}

/** Puts a word of the same length in the place of the first one in the graph. */
function rename(files: Map<string, Uint8Array>, from: string, to: string): void {
  const graph = files.get("onnx/model_q4.onnx")!;
  graph.set(new TextEncoder().encode(to), Buffer.from(graph).indexOf(from));
}

describe("the container", () => {
  const container = onnxContainer(new GraphBuilder(), "onnx/model.onnx");
  const layoutOfSizes = (...sizes: number[]) => container.layout(sizes.map((size, i) => ({ name: `t${i}`, dtype: "U8", shape: [size] })));

  test("begins a data file where the next tensor would pass 2 GB, and gives large tensors a page of their own", async () => {
    const sizes = [10, 1.5e9, 100, 0.6e9, 1.9e9];
    expect(layoutOfSizes(...sizes).dataFiles).toBe(3);
    const graph: Uint8Array[] = [];
    const files: [name: string, size: number][] = [];
    const sink = {
      prepare: async () => {},
      create: async (name: string, size: number) => {
        files.push([name, size]);
        return { write: async (bytes: Uint8Array) => void (name.endsWith(".onnx") && graph.push(bytes)), close: async () => {} };
      },
      finish: async () => {},
      abort: async () => {},
    };
    const writer = layoutOfSizes(...sizes).writer(sink);
    const piece = new Uint8Array(1e8);
    for (const [i, size] of sizes.entries())
      for (let at = 0; at < size; at += piece.length) await writer.write(`t${i}`, piece.subarray(0, Math.min(piece.length, size - at)));
    await writer.end();
    const places = placedTensors(graph[0]).map(({ file, offset }) => [file, offset]);
    const second = Math.ceil((4096 + 1.5e9) / 64) * 64;
    expect(places).toEqual([
      ["model.onnx_data", 0],
      ["model.onnx_data", 4096],
      ["model.onnx_data", second],
      ["model.onnx_data_1", 0],
      ["model.onnx_data_2", 0],
    ]);
    expect(files.slice(1)).toEqual([
      ["onnx/model.onnx_data", second + 100],
      ["onnx/model.onnx_data_1", 0.6e9],
      ["onnx/model.onnx_data_2", 1.9e9],
    ]);
  });

  test("refuses a tensor that no browser could load, before any work", () => {
    expect(() => layoutOfSizes(10, 2.1e9)).toThrow(/t1 would take 2\.1 GB, and browsers load at most 2 GB/);
  });

  test("takes tensors in their order, whole, and each name once", async () => {
    expect(() => container.layout([1, 2].map(() => ({ name: "t", dtype: "U8", shape: [1] })))).toThrow("used twice");
    const begun = () => layoutOfSizes(4, 4).writer(memorySink());
    await expect(begun().write("t1", new Uint8Array(4))).rejects.toThrow("t1 was written where t0 was expected");
    await expect(begun().write("t0", new Uint8Array(5))).rejects.toThrow("gets more");
    const writer = begun();
    await writer.write("t0", new Uint8Array(4));
    await writer.write("t1", new Uint8Array(3));
    await expect(writer.end()).rejects.toThrow("t1 was not written completely");
  });
});

describe("what goes beside the graph", () => {
  const template = (...single: object[]) => JSON.stringify({ post_processor: { type: "TemplateProcessing", single } });
  const bos = { SpecialToken: { id: "<s>", type_id: 0 } };
  const text = { Sequence: { id: "A", type_id: 0 } };

  test("config.json names the dtype and the data files", async () => {
    const { files } = await exported(onnxRecipe({ bits: 8 }), { model_type: undefined, quantization_config: null });
    const written = json(files.get("config.json"));
    expect(written).toMatchObject({ model_type: "llama", torch_dtype: "float32" });
    expect(written["transformers.js_config"]).toEqual({ dtype: "q8", use_external_data_format: { "model_quantized.onnx": 1 } });
    expect(written).not.toHaveProperty("quantization_config");
    expect(new TextDecoder().decode(files.get("README.md"))).toContain("library_name: transformers.js\n");
  });

  test("generation_config.json is the source's, or made of its special tokens", async () => {
    const ids = { bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: null };
    expect(json((await exported(onnxRecipe(), ids)).files.get("generation_config.json"))).toEqual({
      bos_token_id: 1,
      eos_token_id: [2, 3],
    });
    const own = await exported(onnxRecipe(), ids, { "generation_config.json": '{"temperature":0.5}' });
    expect(json(own.files.get("generation_config.json"))).toEqual({ temperature: 0.5 });
  });

  test.each<[string, string, string | null, boolean, boolean]>([
    ["before", template(bos, text), "{}", true, false],
    ["before, whatever the settings say", template(bos, text), '{"add_bos_token":false}', true, false],
    ["after", template(text, bos), null, false, true],
    ["nowhere, whatever the settings say", "{}", '{"add_bos_token":true,"add_eos_token":true}', false, false],
    [
      "before, in a sequence",
      JSON.stringify({
        post_processor: { type: "Sequence", processors: [{ type: "ByteLevel" }, JSON.parse(template(bos, text)).post_processor] },
      }),
      "{}",
      true,
      false,
    ],
    ["on both sides", JSON.stringify({ post_processor: { type: "RobertaProcessing" } }), "{}", true, true],
    [
      "nowhere, in a hostile file",
      JSON.stringify({ post_processor: { type: "TemplateProcessing", single: [null, "x"] } }),
      "[]",
      false,
      false,
    ],
  ])("the pipeline adds special tokens %s, as tokenizer.json does", async (_, tokenizer, settings, before, after) => {
    const files = new Map([["tokenizer.json", tokenizer]]);
    if (settings !== null) files.set("tokenizer_config.json", settings);
    const written = (await tokenizerFiles(sourceOf(files)))["tokenizer_config.json"];
    expect(written).toMatchObject({ add_bos_token: before, add_eos_token: after });
  });

  test("the chat template goes where transformers.js looks for it, and numbers stay as they were written", async () => {
    const { files } = await exported(
      onnxRecipe(),
      {},
      {
        "tokenizer.json": "{}",
        "tokenizer_config.json":
          '{"tokenizer_class":"LlamaTokenizer","model_max_length":1000000000000000019884624838656,"chat_template":"old"}',
        "chat_template.jinja": "{{ messages }}",
      },
    );
    const written = new TextDecoder().decode(files.get("tokenizer_config.json"));
    expect(JSON.parse(written)).toMatchObject({ tokenizer_class: "LlamaTokenizer", chat_template: "{{ messages }}" });
    expect(written).toContain('"model_max_length": 1000000000000000019884624838656');
  });
});

describe("the graph", () => {
  /** Operators by type, with their attributes' whole numbers. */
  function operators(graph: Uint8Array): { type: string; attributes: Record<string, bigint> }[] {
    const parts = (message: Uint8Array, field: number) => [...fieldsOf(message)].flatMap((f) => (f.field === field ? [f.value] : []));
    const word = (bytes: unknown) => new TextDecoder().decode(bytes as Uint8Array);
    return parts(parts(graph, 7)[0] as Uint8Array, 1).map((node) => ({
      type: word(parts(node as Uint8Array, 4)[0]),
      attributes: Object.fromEntries(
        parts(node as Uint8Array, 5).map((a) => [word(parts(a as Uint8Array, 1)[0]), parts(a as Uint8Array, 3)[0] as bigint]),
      ),
    }));
  }

  test("has a window only where the block has one, and norms for heads", async () => {
    const change = {
      architectures: ["Qwen3ForCausalLM"],
      model_type: "qwen3",
      use_sliding_window: true,
      sliding_window: 8,
      max_window_layers: 1,
    };
    const { files } = await exported(onnxRecipe({ bits: 4 }), change);
    const ops = operators(files.get("onnx/model_q4.onnx")!);
    const attention = ops.filter(({ type }) => type === "GroupQueryAttention").map(({ attributes }) => attributes);
    expect(attention.map((a) => a.local_window_size)).toEqual([undefined, 8n]);
    expect(attention[0]).toMatchObject({ num_heads: 4n, kv_num_heads: 2n, do_rotary: 1n, rotary_interleaved: 0n });
    expect(ops.filter(({ type }) => type === "SimplifiedLayerNormalization")).toHaveLength(2 * 4 + 1);
    expect(
      ops.filter(({ type }) => type === "MatMulNBits").map(({ attributes: { K, N, bits, block_size } }) => [K, N, bits, block_size]),
    ).toContainEqual([64n, 96n, 4n, 32n]);
  });

  test.each([
    [{ head_dim: 8 }, {}, "takes heads of a multiple of 16 values, and this model's have 8"],
    [{}, { rules: [{ match: "o_proj", method: "quip" as const, groupSize: -1 as const }] }, "quip's weights are not on a grid"],
    [{}, { zeros: "real" as const }, "real zeros"],
  ])("is refused before any work where it could not be run: %j %j", async (change, recipe, words) => {
    const model = await openModel(tinySource({ ...config, ...change }));
    expect(() => entriesOf(exportJob(model, resolve(onnxRecipe({ bits: 4, ...recipe }), model)))).toThrow(words);
  });

  test("notes say where it runs", () => {
    const notes = (recipe: Partial<Recipe>) =>
      formats[recipe.format ?? "onnx"].notes(onnxRecipe(recipe), { spec: null, config: {} }).join(" ");
    expect(notes({ bits: 4 })).toMatch(/dtype "q4".*onnx\/model_q4\.onnx.*f32/);
    expect(notes({ bits: 3, format: "onnx-f16" })).toMatch(/dtype "q4f16".*shader-f16.*codes of 3 take 4/);
  });
});
