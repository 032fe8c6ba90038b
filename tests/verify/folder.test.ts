import { describe, expect, test } from "vitest";
import { f16Word, toFloats } from "../../src/io/dtype";
import { openModel } from "../../src/model/checkpoint";
import type { Recipe } from "../../src/recipe/recipe";
import { packableConfig } from "../support/exported";
import { type Tensors, tinySource, tinyTensors } from "../support/tiny";
import { check, codesOf, complaints, type Edit, exportFor, words } from "./files";

/** Rows of 128 inputs. */
const wideConfig = { ...packableConfig, hidden_size: 128, head_dim: 32, intermediate_size: 128 };
const q = "model.layers.0.self_attn.q_proj";

describe.each<[Partial<Recipe>, number]>([
  [{ format: "dense", bits: 4 }, 0.2],
  [{ format: "gptq", bits: 4, groupSize: 32 }, 0.2],
  [{ format: "gptq", bits: 4, groupSize: 32, symmetric: true }, 0.2],
  [{ format: "gptq", bits: 8, groupSize: -1 }, 0.02],
  [{ format: "awq", bits: 4, groupSize: 32 }, 0.2],
  [{ format: "awq", method: "awq", bits: 4, groupSize: 32 }, 0.2],
  [{ format: "compressed-tensors", bits: 3, groupSize: 32 }, 0.3],
  [{ format: "mlx", bits: 4, groupSize: 32 }, 0.2],
])("a sound export: %j", (change, most) => {
  test("passes by itself and beside the original", async () => {
    const { model, again } = await exportFor(change);
    const alone = await check(await again());
    expect(complaints(alone)).toEqual([]);
    expect(alone.layers).toBeNull();
    const beside = await check(await again(), { original: model });
    expect(complaints(beside)).toEqual([]);
    expect(beside.layers).toHaveLength(14);
    for (const layer of beside.layers!) {
      expect(layer.error).toBeGreaterThan(0);
      expect(layer.error, layer.name).toBeLessThan(most);
    }
  });
});

test.each<Partial<Recipe>>([
  { format: "gptq", destination: "gptqmodel" },
  { format: "gptq", destination: "gptqmodel", symmetric: true },
  { format: "mlx" },
  { format: "compressed-tensors" },
])("layers with settings of their own are sound, and each is told with its own: %j", async (change) => {
  const rules = [{ match: "down_proj", bits: 8 as const, groupSize: 32 as const }];
  const { model, again } = await exportFor(
    { ...change, bits: 4, groupSize: 64, rules: [...rules, { match: "o_proj", bits: 2 }] },
    wideConfig,
  );
  const found = await check(await again(), { original: model });
  expect(complaints(found)).toEqual([]);
  const stored = (kind: string) => found.layers!.find(({ name }) => name.endsWith(kind))!.stored;
  expect(stored("down_proj")).toMatch(/ 8-bit, groups of 32/);
  expect(stored("o_proj")).toMatch(/ 2-bit, groups of 64/);
  expect(stored("up_proj")).toMatch(/ 4-bit, groups of 64/);
});

test("a folder without config.json is no model; weights by themselves are part of one", async () => {
  const { again } = await exportFor({ format: "dense", bits: 4 });
  const folder = await again({ files: { "config.json": null } });
  expect(codesOf(await check(folder))).toEqual(["error missing-file"]);
  const weights = { ...folder, files: folder.files.filter(({ name }) => name === "model.safetensors") };
  const found = await check(weights);
  expect(codesOf(found)).toEqual(["warning missing-file"]);
  expect(found.passed).toBe(true);
});

test("the relative error of a layer is the norm of the difference over the original's", async () => {
  const { model, again } = await exportFor({ format: "dense", bits: 4, denseDtype: "f32" });
  const changed = await again({
    tensors(t) {
      for (const [name, { spec, bytes }] of t) {
        // 1.5 times the original's: ‖W − 1.5·W‖ / ‖W‖ = 0.5, which no scale is taken out of, as the norms are the original's.
        if (name !== `${q}.weight`) continue;
        const out = new Float32Array(spec.shape[0] * spec.shape[1]).fill(0);
        t.set(name, { spec, bytes: new Uint8Array(out.buffer) });
        expect(bytes.length).toBe(out.byteLength);
      }
    },
  });
  const found = await check(changed, { original: model });
  expect(found.layers!.find(({ name }) => name === q)!.error).toBe(1);
  expect(codesOf(found)).toEqual(["error far-from-original"]);
  expect(found.passed).toBe(false);
});

const gptq: Partial<Recipe> = { format: "gptq", bits: 4, groupSize: 32 };
const ct: Partial<Recipe> = { format: "compressed-tensors", bits: 4, groupSize: 32 };

/** In every layer with such a part. */
const each = (tensors: Tensors, part: string, change: (name: string) => void) => {
  for (const name of [...tensors.keys()]) if (name.endsWith(`.${part}`)) change(name);
};

/** Puts eight nibbles of each word elsewhere: nibble i goes to `to(i)`. */
const shuffle = (t: Tensors, part: string, to: (i: number) => number) =>
  each(t, part, (name) => {
    const all = words(t, name);
    for (const [at, word] of all.entries()) {
      let moved = 0;
      for (let i = 0; i < 8; i++) moved |= ((word >>> (4 * i)) & 15) << (4 * to(i));
      all[at] = moved;
    }
  });
const awqOrder = [0, 2, 4, 6, 1, 3, 5, 7];
const both = (t: Tensors, to: (i: number) => number) => {
  shuffle(t, "qweight", to);
  shuffle(t, "qzeros", to);
};
const label =
  (value: string): Edit["config"] =>
  ({ quantization_config: s }) => {
    s.checkpoint_format = value;
    s.format = value;
  };
const permuted = (t: Tensors) =>
  each(t, "g_idx", (name) => {
    const index = words(t, name);
    for (let i = 0; i < index.length; i += 2) [index[i], index[index.length - 1 - i]] = [index[index.length - 1 - i], index[i]];
  });
const setHalf = (t: Tensors, name: string, at: number, value: number) => {
  const { bytes } = t.get(name)!;
  new DataView(bytes.buffer, bytes.byteOffset).setUint16(2 * at, f16Word(value), true);
};

describe("a known mistake is named", () => {
  test.each<[string, Partial<Recipe>, Edit, { alone: string[]; beside?: string[]; says: RegExp }]>([
    [
      "zeros of v2 labelled v1",
      gptq,
      { config: label("gptq") },
      {
        alone: ["error gptq-zeros"],
        says: /nearer the original's with zeros as v2 has them \(as they are\): the file is labelled wrongly/,
      },
    ],
    [
      "zeros of v1 labelled v2",
      { ...gptq, symmetric: true },
      { config: label("gptq_v2") },
      { alone: ["error gptq-zeros"], says: /nearer the original's with zeros as v1 has them/ },
    ],
    [
      "zeros of v1 labelled v2, 8 bits, asymmetric by its label",
      { ...gptq, bits: 8, symmetric: true },
      {
        config(c) {
          label("gptq_v2")!(c);
          c.quantization_config.sym = false;
        },
      },
      { alone: [], beside: ["error gptq-zeros"], says: /zeros as v1 has them/ },
    ],
    [
      "g_idx missing",
      gptq,
      {
        config: (c) => Object.assign(c.quantization_config, { desc_act: true }),
        tensors: (t) => each(t, "g_idx", (name) => t.delete(name)),
      },
      { alone: ["error g-idx-missing"], says: /no g_idx that says which group/ },
    ],
    [
      "g_idx permuted",
      gptq,
      { tensors: permuted },
      {
        alone: ["warning g-idx-order"],
        beside: ["warning g-idx-order", "error g-idx-order"],
        says: /nearer the original's with groups in order: g_idx is permuted/,
      },
    ],
    [
      "g_idx with a group of one input too many",
      gptq,
      { tensors: (t) => each(t, "g_idx", (name) => words(t, name).fill(0, 0, 33)) },
      { alone: ["error g-idx-order"], says: /other numbers of inputs into groups than group_size \(32\)/ },
    ],
    [
      "g_idx beyond the groups",
      gptq,
      { tensors: (t) => words(t, `${q}.g_idx`).fill(9, 3, 4) },
      { alone: ["error g-idx-order"], says: /groups that do not exist/ },
    ],
    [
      "AWQ's nibbles in the order of the outputs",
      { format: "awq", bits: 4, groupSize: 32 },
      { tensors: (t) => both(t, (i) => awqOrder[i]) },
      {
        alone: [],
        beside: ["error awq-nibbles"],
        says: /nibbles in the order of the outputs: the nibbles of each word are in the wrong order/,
      },
    ],
    [
      "AWQ's nibbles in the inverse order",
      { format: "awq", bits: 4, groupSize: 32 },
      { tensors: (t) => both(t, (i) => awqOrder[awqOrder[i]]) },
      { alone: [], beside: ["error awq-nibbles"], says: /in the inverse of AWQ's order/ },
    ],
    [
      "a scale that is NaN",
      gptq,
      { tensors: (t) => setHalf(t, `${q}.scales`, 5, Number.NaN) },
      { alone: ["error scales-not-finite"], says: /Scales or offsets of packed layers are NaN or infinite/ },
    ],
    [
      "a scale that is infinite",
      { format: "mlx", bits: 4, groupSize: 32 },
      { tensors: (t) => setHalf(t, `${q}.biases`, 0, Number.POSITIVE_INFINITY) },
      { alone: ["error scales-not-finite"], says: /Scales or offsets/ },
    ],
    [
      "a norm that is NaN",
      ct,
      { tensors: (t) => setHalf(t, "model.norm.weight", 1, Number.NaN) },
      { alone: ["error not-finite"], says: /Weights are NaN or infinite/ },
    ],
    [
      "a truncated file",
      ct,
      { weights: (bytes) => bytes.slice(0, -10) },
      { alone: ["error truncated"], says: /shorter than its header says/ },
    ],
    [
      "a tensor missing",
      ct,
      { tensors: (t) => t.delete(`${q}.weight_scale`) },
      { alone: ["error wrong-shape"], says: /weight_scale has 0 groups/ },
    ],
    [
      "a norm missing",
      ct,
      { tensors: (t) => t.delete("model.norm.weight") },
      { alone: ["error missing-tensor"], says: /Tensors are missing/ },
    ],
    [
      "a tensor too many",
      ct,
      { tensors: (t) => t.set("extra.weight", { spec: { name: "extra.weight", dtype: "F16", shape: [2] }, bytes: new Uint8Array(4) }) },
      { alone: ["warning unexpected-tensor"], says: /no place for/ },
    ],
    [
      "a block too many",
      ct,
      { config: (c) => Object.assign(c, { num_hidden_layers: 1 }) },
      {
        alone: ["error unexpected-tensor"],
        beside: ["error other-network", "error unexpected-tensor"],
        says: /blocks beyond the 1 that config.json names/,
      },
    ],
    [
      "billions of blocks",
      ct,
      { config: (c) => Object.assign(c, { num_hidden_layers: 2e9 }) },
      { alone: ["error config"], says: /num_hidden_layers is 2000000000/ },
    ],
    [
      "bits that contradict the files",
      gptq,
      { config: (c) => Object.assign(c.quantization_config, { bits: 8 }) },
      { alone: ["error wrong-shape"], says: /qweight \(8 × 64, not 16 × 64\)/ },
    ],
    [
      "two configs that contradict each other",
      gptq,
      { files: { "quantize_config.json": '{"bits": 4, "group_size": 128}' } },
      { alone: ["error config"], says: /quantize_config.json and config.json's quantization_config contradict/ },
    ],
    [
      "packed tensors and no word of it",
      gptq,
      { config: (c) => Object.assign(c, { quantization_config: undefined }) },
      { alone: ["error config"], says: /no quantization_config, but tensors are packed/ },
    ],
    ["no tokenizer", ct, { files: { "tokenizer.json": null } }, { alone: ["warning tokenizer"], says: /no tokenizer/ }],
    [
      "no tokenizer_config.json",
      ct,
      { files: { "tokenizer_config.json": null } },
      { alone: ["warning tokenizer"], says: /special tokens and chat template are lost/ },
    ],
    [
      "a weight beyond float16",
      { format: "dense", bits: 4 },
      {
        tensors(t) {
          const name = "model.norm.weight";
          const values = new Float32Array(64).fill(1e5);
          t.set(name, { spec: { name, dtype: "F32", shape: [64] }, bytes: new Uint8Array(values.buffer) });
        },
      },
      {
        alone: ["error beyond-f16"],
        beside: ["error beyond-f16", "error far-from-original"],
        says: /become infinite in the float16 that config.json names/,
      },
    ],
    [
      "a packed weight beyond float16",
      gptq,
      { tensors: (t) => setHalf(t, `${q}.scales`, 0, 60_000) },
      { alone: ["error beyond-f16"], beside: ["error beyond-f16", "error far-from-original"], says: /infinite when clients unpack/ },
    ],
  ])("%s", async (_, change, edit, { alone, beside = alone, says }) => {
    const { model, again } = await exportFor(change);
    const byItself = await check(await again(edit));
    expect(codesOf(byItself)).toEqual(alone);
    const compared = await check(await again(edit), { original: model });
    expect(codesOf(compared)).toEqual(beside);
    const all = JSON.stringify([...byItself.findings, ...compared.findings]);
    expect(all).toMatch(says);
    expect(compared.passed).toBe(!beside.some((line) => line.startsWith("error")));
  });

  test("another model's weights", async () => {
    const { again } = await exportFor(ct);
    const other = await openModel(tinySource(packableConfig, tinyTensors(packableConfig, 99)));
    expect(codesOf(await check(await again(), { original: other }))).toEqual(["error far-from-original"]);
  });
});

/** A checkpoint that the engine could write: every tensor as it is read. */
test("a scale that went into one layer of a pair, but not into the other, is no fold", async () => {
  const { model, again } = await exportFor({ format: "dense", bits: 8 });
  const scale = (t: Tensors, name: string, factor: (row: number, column: number) => number) => {
    const { spec, bytes } = t.get(name)!;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const [, n] = spec.shape;
    for (let i = 0; i < bytes.length / 2; i++) {
      const value = toFloats(bytes.subarray(2 * i, 2 * i + 2), "F16")[0];
      view.setUint16(2 * i, f16Word(value * factor(Math.floor(i / n), i % n)), true);
    }
  };
  const s = (i: number) => 0.25 + (i % 7);
  const up = (t: Tensors) => scale(t, "model.layers.0.mlp.up_proj.weight", (r) => 1 / s(r));
  const down = (t: Tensors) => scale(t, "model.layers.0.mlp.down_proj.weight", (_, c) => s(c));
  const folded = await check(
    await again({
      tensors(t) {
        up(t);
        down(t);
      },
    }),
    { original: model },
  );
  expect(codesOf(folded)).toEqual([]);
  expect(folded.layers!.filter(({ scaled }) => scaled).map(({ name, scaled }) => `${name} ${scaled}`)).toEqual([
    "model.layers.0.mlp.up_proj outputs",
    "model.layers.0.mlp.down_proj inputs",
  ]);
  const half = await check(await again({ tensors: up }), { original: model });
  expect(codesOf(half)).toEqual(["error values"]);
});

test("an architecture that is not known is unpacked and compared by its tensors", async () => {
  const { model, again } = await exportFor(gptq);
  const source = await again({ config: (c) => Object.assign(c, { model_type: "gemma9", architectures: ["Gemma9ForCausalLM"] }) });
  const found = await check(source, { original: model });
  expect(codesOf(found)).toEqual(["warning config"]);
  expect(found.layers).toHaveLength(14);
});

test("a cancel is no finding", async () => {
  const { again } = await exportFor(gptq);
  await expect(check(await again(), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
});

test("progress ends at all bytes", async () => {
  const { again } = await exportFor(gptq);
  const seen: [number, number][] = [];
  const { bytes } = await check(await again(), { progress: (done, total) => seen.push([done, total]) });
  expect(seen.at(-1)).toEqual([bytes, bytes]);
  expect(seen.every(([done], i) => i === 0 || done >= seen[i - 1][0])).toBe(true);
});
