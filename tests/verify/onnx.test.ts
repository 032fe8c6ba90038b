import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { placedTensors } from "../../src/export/onnx/proto";
import { f16Word } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { bytesField, concat, floatField } from "../../src/io/protobuf";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { demoFolder } from "../support/demo";
import { run } from "../support/engine";
import { packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { safetensors, type Tensors, tinyTensors, tinyTokens } from "../support/tiny";
import { addBiases, check, codesOf, type Json } from "./files";

/** An export as files by name, and its original. */
async function exported(change: Partial<Recipe>, config: Json = packableConfig, tensors = tinyTensors(config)) {
  const tokenizer = ["tokenizer.json", "tokenizer_config.json"].map((name) =>
    bytesFile(name, readFileSync(join(demoFolder, name), "utf8")),
  );
  const weights = [bytesFile("config.json", JSON.stringify(config)), bytesFile("model.safetensors", safetensors(tensors))];
  const model = await openModel(memorySource("tiny", [...weights, ...tokenizer]));
  const recipe = recipeWith({ format: "onnx", groupSize: 32, ...change }, { alpha: 0 });
  const sink = memorySink();
  await exportCheckpoint({ model, ...(await run({ ops: createCpuOps(), model, tokens: tinyTokens(), recipe })), evaluations: [], sink });
  const sourceOf = (files: Iterable<[string, Uint8Array]>) =>
    memorySource(
      "onnx",
      [...files].map(([name, bytes]) => bytesFile(name, bytes)),
    );
  return { model, files: sink.files, sourceOf };
}

const dataFile = (files: ReadonlyMap<string, Uint8Array>) => [...files.keys()].find((name) => name.endsWith("_data"))!;

describe.each<Partial<Recipe>>([
  { bits: 4 },
  { bits: 4, symmetric: true },
  { bits: 3, groupSize: -1, symmetric: true },
  { bits: 8, format: "onnx-f16" },
])("a sound export: %j", (change) => {
  test("passes by itself and beside the original", async () => {
    const { model, files, sourceOf } = await exported(change);
    const found = await check(sourceOf(files), { original: model });
    expect(codesOf(found)).toEqual([]);
    expect(found.layers).toHaveLength(14);
    for (const { error, name } of found.layers!) {
      expect(error, name).toBeGreaterThan(0);
      expect(error, name).toBeLessThan(0.35);
    }
  });
});

const qwen2 = { ...packableConfig, model_type: "qwen2", architectures: ["Qwen2ForCausalLM"] };
const qwen3 = { ...packableConfig, model_type: "qwen3", architectures: ["Qwen3ForCausalLM"], tie_word_embeddings: true };
const mistral = { ...packableConfig, model_type: "mistral", architectures: ["MistralForCausalLM"], sliding_window: 16 };
const biased = () => addBiases(tinyTensors(qwen2), ["q_proj", "k_proj", "v_proj"]);

describe.each<[string, Partial<Recipe>, Json?, Tensors?]>([
  ["Qwen2's biases", { bits: 4 }, qwen2, biased()],
  ["AWQ's folds", { bits: 4, method: "awq", format: "onnx-f16" }, qwen2, biased()],
  ["Qwen3, tied, f16", { bits: 4, format: "onnx-f16" }, qwen3],
  ["a window", { bits: 4 }, mistral],
])("a sound export: %s", (_, change, config, tensors) => {
  test("is the original's in all that is beside the layers", async () => {
    const { model, files, sourceOf } = await exported(change, config, tensors);
    const found = await check(sourceOf(files), { original: model });
    expect(codesOf(found)).toEqual([]);
    expect(JSON.stringify(found.findings)).toMatch(/other tensors \(embeddings, head, norms, biases\) are the original's/);
  });
});

/** The bytes with `to` wherever they have `from`, which is as long. */
function replaced(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const out = Buffer.from(bytes);
  for (let at = out.indexOf(from); at >= 0; at = out.indexOf(from, at + to.length)) out.set(to, at);
  return new Uint8Array(out);
}
const epsilon = (eps: number) => floatField(2, eps);

test.each<[string, Json, (files: Map<string, Uint8Array>) => void, string[], RegExp]>([
  [
    "embeddings that are 0",
    packableConfig,
    (f) => {
      const [graph, data] = [f.get(graphOf(f))!, f.get(dataFile(f))!.slice()];
      const { offset, bytes } = placedTensors(graph).find(({ spec }) => spec.name === "model.embed_tokens.weight")!;
      f.set(dataFile(f), data.fill(0, offset, offset + bytes));
    },
    ["error far-from-original"],
    /model\.embed_tokens\.weight \(relative error 1\.00\)/,
  ],
  [
    "another epsilon in the graph",
    packableConfig,
    (f) => f.set(graphOf(f), replaced(f.get(graphOf(f))!, epsilon(1e-5), epsilon(0.1))),
    ["error other-network"],
    /Epsilon of the norms: 0\.1; in the original: 0\.00001.*the graph's epsilon/,
  ],
  [
    "another epsilon in config.json",
    packableConfig,
    (f) => f.set("config.json", replaced(f.get("config.json")!, Buffer.from("0.00001"), Buffer.from("0.10001"))),
    ["error other-network"],
    /Epsilon of the norms: 0\.10001; in the original: 0\.00001.*rms_norm_eps/,
  ],
  [
    "no window in the graph",
    mistral,
    (f) => f.set(graphOf(f), replaced(f.get(graphOf(f))!, Buffer.from("local_window_size"), Buffer.from("local_window_none"))),
    ["warning other-network"],
    /Beyond 16 tokens it computes another model.*the graph's local_window_size/,
  ],
  [
    "other angles",
    packableConfig,
    (f) => {
      const [graph, data] = [f.get(graphOf(f))!, f.get(dataFile(f))!.slice()];
      const { offset, bytes } = placedTensors(graph).find(({ spec }) => spec.name === "cos_cache")!;
      f.set(dataFile(f), data.fill(0, offset, offset + bytes));
    },
    ["error other-network"],
    /Rotary embedding, cos at position 0: 0\.00; in the original: 1\.00/,
  ],
])("a graph that computes another model: %s", async (_, config, edit, codes, says) => {
  const { model, files, sourceOf } = await exported({ bits: 4 }, config);
  const changed = new Map(files);
  changed.delete("certificate.json");
  edit(changed);
  const found = await check(sourceOf(changed), { original: model });
  expect(codesOf(found)).toEqual(codes);
  expect(JSON.stringify(found.findings)).toMatch(says);
});

test("layers that stay floats are compared too", async () => {
  const { model, files, sourceOf } = await exported({ bits: 4, blocks: 1 });
  const found = await check(sourceOf(files), { original: model });
  expect(codesOf(found)).toEqual([]);
  expect(found.layers).toHaveLength(14);
  expect(found.layers!.filter(({ stored }) => stored === "F16")).toHaveLength(7);
});

test.each<[string, (files: Map<string, Uint8Array>) => void, string[]]>([
  ["a truncated data file", (f) => f.set(dataFile(f), f.get(dataFile(f))!.slice(0, -8)), ["error truncated"]],
  ["no data file", (f) => f.delete(dataFile(f)), ["error missing-file"]],
  ["bytes that belong to nobody", (f) => f.set(dataFile(f), new Uint8Array(f.get(dataFile(f))!.length + 8)), ["warning malformed"]],
  ["a graph cut off", (f) => f.set(graphOf(f), f.get(graphOf(f))!.slice(0, -90)), ["error malformed"]],
  ["no tokenizer", (f) => f.delete("tokenizer.json"), ["warning tokenizer"]],
])("%s is named", async (_, edit, want) => {
  const { files, sourceOf } = await exported({ bits: 4 });
  const changed = new Map(files);
  // It would tell of every change.
  changed.delete("certificate.json");
  edit(changed);
  expect(codesOf(await check(sourceOf(changed)))).toEqual(want);
});

const graphOf = (files: ReadonlyMap<string, Uint8Array>) => [...files.keys()].find((name) => name.endsWith(".onnx"))!;

test("a scale that is NaN is named", async () => {
  const { files, sourceOf } = await exported({ bits: 4, format: "onnx-f16" });
  const data = files.get(dataFile(files))!;
  // All f16 words of one value: scales are what is left of the layers beside codes.
  const nan = new Map(files).set(dataFile(files), data.slice().fill(f16Word(Number.NaN) >> 8));
  const found = await check(sourceOf(nan));
  expect(codesOf(found)).toContain("error scales-not-finite");
  expect(found.passed).toBe(false);
});

/** A graph with many messages in one of its fields, all of them the same. */
const graphWith = (field: number, message: Uint8Array, times: number) => {
  const one = bytesField(field, message);
  return bytesField(
    7,
    new Uint8Array(one.length * times).map((_, i) => one[i % one.length]),
  );
};
const numbers = new Uint8Array(2_000).map((_, i) => (i % 2 ? 1 : 8));

test.each<[string, Uint8Array]>([
  ["of many numbers", new Uint8Array(2_400_000).map((_, i) => (i % 2 ? 1 : 8))],
  ["of many empty tensors", graphWith(5, new Uint8Array(0), 1_200_000)],
  ["of tensors with many dimensions", graphWith(5, numbers, 1_200)],
])("a graph %s is refused", async (_, graph) => {
  const found = await check(memorySource("onnx", [bytesFile("m.onnx", graph)]));
  expect(codesOf(found)).toEqual(["error malformed"]);
  expect(JSON.stringify(found.findings)).toMatch(/there are more than 1000000 fields/);
});

test("so are nodes with many names", async () => {
  const { files, model, sourceOf } = await exported({ bits: 4 });
  const name = graphOf(files);
  const changed = new Map(files).set(name, concat([files.get(name)!, graphWith(1, concat(Array(1_000).fill(bytesField(1, ""))), 1_200)]));
  changed.delete("certificate.json");
  const found = await check(sourceOf(changed), { original: model });
  expect(JSON.stringify(found.findings)).toMatch(/there are more than 1000000 fields/);
});

test("a graph larger than any of ours is not read", async () => {
  const read = () => Promise.reject(new Error("it was read"));
  const found = await check(memorySource("onnx", [{ name: "m.onnx", size: 65 * 2 ** 20, read }]));
  expect(codesOf(found)).toEqual(["error unreadable"]);
  expect(JSON.stringify(found.findings)).toMatch(/holds weights itself/);
});
