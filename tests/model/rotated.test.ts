import { afterEach, describe, expect, test, vi } from "vitest";
import { toFloats } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import { type Model, openModel } from "../../src/model/checkpoint";
import { randomHadamard } from "../../src/model/hadamard";
import { embeddingName, headName, layerName, normNames } from "../../src/model/layers";
import { tokenLosses } from "../../src/model/losses";
import { rotateModel } from "../../src/model/rotated";
import { createCpuOps } from "../../src/ops/cpu";
import { activationsOf, forward, run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { safetensors, type Tensors, tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

afterEach(() => vi.unstubAllGlobals());

describe.each([1, 2, 6, 15, 24, 64, 172])("a randomised Hadamard matrix of %i", (n) => {
  const Q = randomHadamard(n, 3);
  const rows = (outer: number) => Float64Array.from({ length: outer * n }, (_, i) => Math.sin(i * i + 1));

  test("keeps lengths and angles", () => {
    const before = rows(2);
    const after = before.slice();
    Q.apply(after, 2, 1);
    const dot = (x: Float64Array, a: number, b: number) => x.subarray(a * n, a * n + n).reduce((s, v, i) => s + v * x[b * n + i], 0);
    for (const [a, b] of [
      [0, 0],
      [0, 1],
      [1, 1],
    ])
      expect(dot(after, a, b)).toBeCloseTo(dot(before, a, b), 9);
  });

  test("is the same along either axis", () => {
    const across = rows(3);
    Q.apply(across, 3, 1);
    const along = Float64Array.from({ length: 3 * n }, (_, i) => rows(3)[(i % 3) * n + Math.floor(i / 3)]);
    Q.apply(along, 1, 3);
    for (let i = 0; i < 3 * n; i++) expect(along[i]).toBeCloseTo(across[(i % 3) * n + Math.floor(i / 3)], 12);
  });
});

test("one outlier is spread over every input", () => {
  const x = new Float64Array(64);
  x[17] = 8;
  randomHadamard(64, 0).apply(x, 1, 1);
  for (const value of x) expect(Math.abs(value)).toBeCloseTo(1, 12);
});

/** Norms that are not 1 and biases, in f32, so that nothing is rounded on the way. */
function checkpoint(change: Record<string, unknown>) {
  const config = { ...tinyConfig, ...change };
  const tensors: Tensors = new Map();
  for (const [name, { spec, bytes }] of tinyTensors(config)) {
    const values = toFloats(bytes, "F16");
    const skewed = name.includes("norm") ? values.map((v, i) => v * (0.5 + (i % 5))) : values;
    tensors.set(name, { spec: { ...spec, dtype: "F32" }, bytes: new Uint8Array(Float32Array.from(skewed).buffer) });
  }
  for (const [kind, size] of [
    ["q_proj", 24],
    ["k_proj", 12],
    ["v_proj", 12],
    ["o_proj", 24],
    ["down_proj", 24],
  ] as const) {
    const name = `${layerName(1, kind)}.bias`;
    const bias = Float32Array.from({ length: size }, (_, i) => Math.cos(i));
    tensors.set(name, { spec: { name, dtype: "F32", shape: [size] }, bytes: new Uint8Array(bias.buffer) });
  }
  return memorySource("skewed", [bytesFile("config.json", JSON.stringify(config)), bytesFile("model.safetensors", safetensors(tensors))]);
}

/** The model, and how often each tensor is read from it. */
function counting(model: Model): { model: Model; reads: Map<string, number> } {
  const reads = new Map<string, number>();
  const readTensor: Model["shards"]["readTensor"] = (name, rows) => {
    reads.set(name, (reads.get(name) ?? 0) + 1);
    return model.shards.readTensor(name, rows);
  };
  return { model: { ...model, shards: { ...model.shards, readTensor } }, reads };
}

async function losses(model: Model): Promise<Float64Array> {
  const ops = createCpuOps();
  const tokens = tinyTokens(3, 12);
  const stream = await forward(ops, model, tokens);
  return (await tokenLosses({ activations: activationsOf(ops), chunks: [tokens] }, { model, h: stream.hs, rounded: null }))[0];
}

describe("a rotated model", () => {
  test.each<[string, Record<string, unknown>]>([
    ["grouped queries, biases, norms that are not 1", {}],
    ["tied embeddings", { tie_word_embeddings: true }],
    ["query and key norms", { architectures: ["Qwen3ForCausalLM"] }],
  ])("computes the same: %s", async (_, change) => {
    const model = await openModel(checkpoint(change));
    const rotated = await rotateModel(model, 1);
    const [before, after] = [await losses(model), await losses(rotated)];
    for (const [i, loss] of before.entries()) if (!Number.isNaN(loss)) expect(Math.abs(after[i] - loss)).toBeLessThan(2e-5);
    // And it is another basis.
    const weight = layerName(0, "q_proj");
    expect(await rotated.shards.readTensor(`${weight}.weight`)).not.toEqual(await model.shards.readTensor(`${weight}.weight`));
    expect(rotated.spec.tied).toBe(false);
  });

  test("reads in parts as it reads whole", async () => {
    const model = await rotateModel(await openModel(tinySource({ ...tinyConfig, tie_word_embeddings: true })), 0);
    for (const name of [embeddingName, headName, normNames(1).input, `${layerName(1, "down_proj")}.weight`]) {
      const { file, start, end } = model.shards.tensors.get(name)!;
      const whole = await model.shards.readTensor(name);
      const parts: number[] = [];
      for (let at = start; at < end; at += 37) parts.push(...(await file.read(at, Math.min(end, at + 37))));
      expect(Uint8Array.from(parts)).toEqual(whole);
    }
    const rows = await model.shards.readTensor(headName, { from: 3, to: 5 });
    expect(rows).toEqual((await model.shards.readTensor(headName)).slice(3 * 48, 5 * 48));
  });

  test.each([1, 70, 200])("made %i values at a time has the same bits", async (most) => {
    for (const source of [checkpoint({}), tinySource({ ...tinyConfig, tie_word_embeddings: true })]) {
      const model = await openModel(source);
      const [whole, panels] = [await rotateModel(model, 4), await rotateModel(model, 4, most)];
      for (const name of whole.shards.tensors.keys())
        expect(await panels.shards.readTensor(name), name).toEqual(await whole.shards.readTensor(name));
    }
  });

  test("is made without any layer in float64 at once", async () => {
    const rotated = await rotateModel(await openModel(checkpoint({})), 4, 1);
    let most = 0;
    class Counted extends Float64Array {
      constructor(...args: ConstructorParameters<typeof Float64Array>) {
        super(...args);
        most = Math.max(most, this.length);
      }
    }
    vi.stubGlobal("Float64Array", Counted);
    for (const name of rotated.shards.tensors.keys()) await rotated.shards.readTensor(name);
    // A head's rows or columns, of 24 values each; layers have up to 40 of them.
    expect(most).toBe(6 * 24);
  });

  test("keeps one of the tensors that are read in parts, however many there are", async () => {
    const { model, reads } = counting(await openModel(checkpoint({})));
    const { tensors } = (await rotateModel(model, 0)).shards;
    const [a, b] = [0, 1].map((m) => `${layerName(m, "down_proj")}.weight`);
    const read = (name: string, from: number, to = tensors.get(name)!.end) => tensors.get(name)!.file.read(from, to);
    for (const from of [0, 8, 16]) await read(a, from, from + 8);
    expect(reads.get(a)).toBe(1);
    await read(b, 0, 8);
    // That one has taken its place.
    await read(a, 0, 8);
    expect(reads.get(a)).toBe(2);
    // Once it was read to its end, none is kept.
    for (const _ of [1, 2]) await read(a, 8);
    expect(reads.get(a)).toBe(3);
  });

  test("with an outlier is quantized with less error, by a method that knows nothing of it", async () => {
    const source = () => {
      const tensors = tinyTensors();
      return memorySource("outlier", [
        bytesFile("config.json", JSON.stringify(tinyConfig)),
        bytesFile("model.safetensors", safetensors(withOutlier(tensors))),
      ]);
    };
    const model = await openModel(source());
    const ops = createCpuOps();
    const error = async (m: Model) => {
      const recipe = recipeWith({ bits: 3 }, { alpha: 0 });
      const { report } = await run({ ops, model: m, tokens: tinyTokens(6, 16), recipe, emit: () => {} });
      return report.blocks.at(-1)!.relativeDelta;
    };
    expect(await error(await rotateModel(model, 0))).toBeLessThan(0.5 * (await error(model)));
  });
});

/** Input 5 of q, k, v, gate and up is large in the weights: it stretches every row's grid. */
function withOutlier(tensors: Tensors): Tensors {
  for (let m = 0; m < tinyConfig.num_hidden_layers; m++) {
    const names = normNames(m);
    for (const [norm, kinds] of [
      [names.input, ["q_proj", "k_proj", "v_proj"]],
      [names.postAttention, ["gate_proj", "up_proj"]],
    ] as const) {
      rescale(tensors, norm, (i) => (i === 5 ? 1 / 64 : 1));
      for (const kind of kinds) rescale(tensors, `${layerName(m, kind)}.weight`, (i) => (i % 24 === 5 ? 64 : 1));
    }
  }
  return tensors;
}

function rescale(tensors: Tensors, name: string, factor: (i: number) => number): void {
  const { spec, bytes } = tensors.get(name)!;
  const values = toFloats(bytes, spec.dtype).map((v, i) => v * factor(i));
  tensors.set(name, { spec: { ...spec, dtype: "F32" }, bytes: new Uint8Array(values.buffer) });
}
