/** KL divergence and top-1 agreement as the engine measures them, beside softmaxes of whole rows of logits in float64. */
import { describe, expect, test } from "vitest";
import { wholeBlocksOf } from "../../src/engine/blocks";
import { divergenceOf } from "../../src/engine/divergence";
import { Engine } from "../../src/engine/engine";
import { becomeQuantized } from "../../src/engine/quantized";
import { roundedHead } from "../../src/engine/tables";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import type { TokenWindows } from "../../src/model/calibration";
import { loadTensor, type Model, openModel } from "../../src/model/checkpoint";
import { embeddingName, finalNormName, headName } from "../../src/model/layers";
import { rotateModel } from "../../src/model/rotated";
import { using } from "../../src/ops/activations";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { restore } from "../../src/ops/packed";
import type { QuantizedModel } from "../../src/quant/coded";
import type { Recipe } from "../../src/recipe/recipe";
import { evaluate, evaluateAgainst, perplexityOf, run, startOf } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { npy } from "../support/npy";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

const config = { ...tinyConfig, hidden_size: 256, head_dim: 64, intermediate_size: 256, num_hidden_layers: 1 };
const tokens = tinyTokens(4, 12);
const ops = createCpuOps();
const quiet = { emit: () => {} };

/** Every row of logits, of the model as a run left it or as it is. */
async function logitsOf(model: Model, quantized: QuantizedModel | null): Promise<Float64Array[]> {
  // A stream that starts from rounded embeddings is tested in tables.test.ts.
  const stream = await startOf(ops, model, tokens);
  for await (const block of wholeBlocksOf(ops, model)) {
    if (quantized) await becomeQuantized(ops, block, quantized);
    await stream.pass(0, block);
  }
  const norm = await loadTensor(ops, model, finalNormName);
  const rounded = quantized && (await roundedHead(model.spec, quantized));
  const head = rounded ? restore(ops, rounded) : await loadTensor(ops, model, headName);
  const logits = await using(stream.h(0), (h) => ops.linear(ops.rmsNorm(h, norm, model.spec.eps), head));
  const [all] = await ops.read([logits]);
  const { vocabulary } = model.spec;
  return Array.from(tokens.ids, (_, t) => Float64Array.from(all.subarray(t * vocabulary, (t + 1) * vocabulary)));
}

function softmax(z: Float64Array): Float64Array {
  const e = z.map((v) => Math.exp(v - Math.max(...z)));
  const total = e.reduce((a, b) => a + b);
  return e.map((v) => v / total);
}

const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
const errorOf = (values: number[]) =>
  Math.sqrt((mean(values.map((v) => (v - mean(values)) ** 2)) * (values.length / (values.length - 1))) / values.length);

/** By the definitions. */
function directly(before: Float64Array[], after: Float64Array[], { ids, length }: TokenWindows) {
  const counted = [...ids.keys()].filter((t) => (t + 1) % length !== 0);
  const pairs = counted.map((t) => ({ p: softmax(before[t]), q: softmax(after[t]), next: ids[t + 1] }));
  const kl = pairs.map(({ p, q }) => p.reduce((sum, pj, j) => sum + pj * Math.log(pj / q[j]), 0));
  const rises = pairs.map(({ p, q, next }) => Math.log(p[next]) - Math.log(q[next]));
  const same = pairs.map(({ p, q }): number => (p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)) ? 1 : 0));
  const of = (losses: number[]) => Math.exp(mean(losses));
  return {
    kl,
    perplexityBefore: of(pairs.map(({ p, next }) => -Math.log(p[next]))),
    perplexity: of(pairs.map(({ q, next }) => -Math.log(q[next]))),
    mean: mean(kl),
    error: errorOf(kl),
    sameTop: { mean: mean(same), error: errorOf(same) },
    lossRise: { mean: mean(rises), error: errorOf(rises) },
  };
}

const close = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-9);

test.each<[string, Partial<Recipe>]>([
  ["RTN 3-bit", { method: "rtn", bits: 3 }],
  ["a head of its own rounding, Q6_K, beside Q2_K", { method: "rtn", type: "Q2_K", rules: [{ match: "*", method: "rtn" }] }],
])("are what softmaxes of whole rows give: %s", async (_, change) => {
  const model = await openModel(tinySource(config));
  const { quantized, plan } = await run({ ops, model, tokens, recipe: recipeWith(change, { alpha: 0 }) });
  // The helper above starts from embeddings as they are.
  const withoutEmbeddings: QuantizedModel = {
    replaced: quantized.replaced,
    beyondF16: quantized.beyondF16,
    layer: async (name) => (name === "model.embed_tokens" ? null : quantized.layer(name)),
  };
  expect(plan.tables.map(({ name }) => name).includes("lm_head")).toBe("type" in change);
  const measured = await evaluate({ ops, model, tokens, ...quiet }, withoutEmbeddings);
  const want = directly(await logitsOf(model, null), await logitsOf(model, withoutEmbeddings), tokens);
  const { kl, sameTop, lossRise } = measured.divergence;
  expect(want.mean).toBeGreaterThan(0.001);
  for (const [actual, expected] of [
    [measured.perplexityBefore, want.perplexityBefore],
    [measured.perplexity, want.perplexity],
    [kl.mean, want.mean],
    [kl.error, want.error],
    [kl.max, Math.max(...want.kl)],
    [sameTop.mean, want.sameTop.mean],
    [sameTop.error, want.sameTop.error],
    [lossRise.error, want.lossRise.error],
  ])
    close(actual, expected);
  expect(lossRise.mean).toBeCloseTo(want.lossRise.mean, 10);
  expect(Math.exp(lossRise.mean)).toBeCloseTo(measured.perplexity / measured.perplexityBefore, 10);
  const sorted = want.kl.toSorted((a, b) => a - b);
  expect(kl.median).toBeCloseTo((sorted[21] + sorted[22]) / 2, 12);
});

test("the statistics of known figures", () => {
  const kl = Float64Array.from({ length: 101 }, (_, i) => 100 - i);
  const before = new Float64Array(101).fill(2);
  const after = before.map((loss, i) => loss + (i === 0 ? 1.01 : 0));
  const sameTop = Uint8Array.from({ length: 101 }, (_, i) => (i < 25 ? 0 : 1));
  const found = divergenceOf({ before, after, kl, sameTop });
  expect(found.kl).toMatchObject({ mean: 50, median: 50, p99: 99, max: 100 });
  // The deviation of 0 … n − 1 is √(n(n + 1)/12).
  expect(found.kl.error).toBeCloseTo(Math.sqrt((101 * 102) / 12 / 101), 12);
  // llama.cpp's formula.
  expect(found.sameTop.mean).toBeCloseTo(76 / 101, 12);
  expect(found.sameTop.error).toBeCloseTo(Math.sqrt(((76 / 101) * (25 / 101)) / 100), 12);
  expect(found.lossRise.mean).toBeCloseTo(0.01, 12);
  expect(found.lossRise.error).toBeCloseTo(0.01, 12);
});

describe("a checkpoint beside its original", () => {
  test("that is the same has divergence 0 and always the same top token, on both", async () => {
    for (const each of [ops, await openGpuOps()]) {
      const [model, original] = [await openModel(tinySource(config)), await openModel(tinySource(config))];
      const beside = await evaluateAgainst({ ops: each, model, tokens, ...quiet }, original);
      const { perplexityBefore, perplexity, divergence, blocks } = beside;
      expect(blocks).toEqual(Array.from({ length: model.spec.blocks }, (_, index) => ({ index, delta: 0, relativeDelta: 0 })));
      expect(divergence).toEqual({
        kl: { mean: 0, error: 0, median: 0, p99: 0, max: 0 },
        sameTop: { mean: 1, error: 0 },
        lossRise: { mean: 0, error: 0 },
      });
      expect(perplexity).toBe(perplexityBefore);
      const alone = await perplexityOf({ ops: each, model, tokens, ...quiet });
      expect(perplexity / alone.perplexity).toBeCloseTo(1, 6);
    }
  });

  test("that a run exported says what the run's measurement said, of a model of other sizes something else", async () => {
    const model = await openModel(tinySource(config));
    const recipe = recipeWith({ method: "rtn", type: "Q4_K", denseDtype: "f32" }, { alpha: 0 });
    const { plan, report, quantized } = await run({ ops, model, tokens, recipe });
    const { perplexityBefore, perplexity, divergence, blocks } = await evaluate({ ops, model, tokens, ...quiet }, quantized);
    const sink = memorySink();
    await exportCheckpoint({ model, plan, report, quantized, evaluations: [], sink });
    const exported = await openModel(
      memorySource(
        "out",
        [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
      ),
    );
    const beside = await evaluateAgainst({ ops, model: exported, tokens, ...quiet }, model);
    close(beside.perplexityBefore, perplexityBefore);
    // The file's weights are the run's, rounded to f32.
    expect(beside.perplexity / perplexity).toBeCloseTo(1, 6);
    expect(beside.divergence.kl.mean / divergence.kl.mean).toBeCloseTo(1, 4);
    expect(beside.divergence.sameTop).toEqual(divergence.sameTop);
    for (const [m, { index, delta, relativeDelta }] of blocks.entries()) {
      expect(beside.blocks?.[m].index).toBe(index);
      expect(beside.blocks![m].delta / delta).toBeCloseTo(1, 5);
      expect(beside.blocks![m].relativeDelta / relativeDelta).toBeCloseTo(1, 5);
    }
    const smaller = await openModel(tinySource());
    const far = await evaluateAgainst({ ops, model: exported, tokens, ...quiet }, smaller);
    expect(far).toMatchObject({ blocks: null, noDelta: "sizes" });
    expect(far.perplexityBefore).not.toBeCloseTo(perplexityBefore, 2);
    expect(far.divergence.kl.mean).toBeGreaterThan(10 * divergence.kl.mean);
  });

  test("that is rotated predicts the same, and has no Δ_m: its states are in other coordinates", async () => {
    const original = await openModel(tinySource(config));
    const beside = await evaluateAgainst({ ops, model: await rotateModel(original, 1), tokens, ...quiet }, original);
    expect(beside).toMatchObject({ blocks: null, noDelta: "coordinates" });
    expect(beside.divergence.kl.max).toBeLessThan(1e-4);
  });

  test("whose embeddings are not finite is refused, and it is said where", async () => {
    const tensors = tinyTensors(config);
    // Infinity in f16, in every row.
    new Uint16Array(tensors.get(embeddingName)!.bytes.buffer).fill(0x7c00);
    const [model, original] = [await openModel(tinySource(config, tensors)), await openModel(tinySource(config))];
    await expect(evaluateAgainst({ ops, model, tokens, ...quiet }, original)).rejects.toMatchObject({
      code: "non-finite-activations",
      where: "behind the embeddings",
    });
  });

  test("is the same but for rounding where 64 KiB are bound at once, and on the reference", async () => {
    const wide = { ...tinyConfig, vocab_size: 700 };
    const model = await openModel(tinySource(wide));
    const many = tinyTokens(6, 16, 700);
    const { quantized } = await run({ ops, model, tokens: many, recipe: recipeWith({ method: "rtn", bits: 3 }, { alpha: 0 }) });
    const on = (each: Ops) => evaluate({ ops: each, model, tokens: many, ...quiet }, quantized);
    const reference = await on(ops);
    expect(reference.divergence.sameTop.mean).toBeGreaterThan(0.2);
    expect(reference.divergence.sameTop.mean).toBeLessThan(0.98);
    for (const limits of [{}, { maxStorageBufferBindingSize: 64 * 1024 }]) {
      const { divergence, perplexity, perplexityBefore } = await on(await openGpuOps({ limits }));
      for (const part of ["mean", "error", "median", "p99", "max"] as const)
        expect(divergence.kl[part] / reference.divergence.kl[part], part).toBeCloseTo(1, 4);
      expect(divergence.sameTop).toEqual(reference.divergence.sameTop);
      expect(perplexity / reference.perplexity).toBeCloseTo(1, 5);
      expect(perplexityBefore / reference.perplexityBefore).toBeCloseTo(1, 5);
      expect(divergence.lossRise.error / reference.divergence.lossRise.error).toBeCloseTo(1, 4);
    }
  });
});

describe("two checkpoints that do not belong together are refused in a sentence", () => {
  const never = new AbortController().signal;
  const against = async (
    change: Record<string, unknown>,
    files: [string, string][] = [],
    others: [string, string][] = [],
    tensors = tinyTensors({ ...tinyConfig, ...change }),
  ) => {
    const engine = new Engine(memoryPlatform());
    const withFiles = (source: ReturnType<typeof tinySource>, more: [string, string][]) => ({
      ...source,
      files: [...source.files, ...more.map(([name, text]) => bytesFile(name, text))],
    });
    await engine.open(withFiles(tinySource(), files));
    const original = { ...withFiles(tinySource({ ...tinyConfig, ...change }, tensors), others), label: "origin" };
    const text = { file: files.length ? bytesFile("a.txt", "abcabcabc".repeat(9)) : bytesFile("ids.npy", npy(tinyTokens(3, 10))) };
    return engine.measureAgainst(original, text, { windows: 2, windowLength: 10 }, () => {}, never);
  };
  const tokenizer = (letters: string, more = {}) =>
    JSON.stringify({
      version: "1.0",
      ...{ added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null },
      model: { type: "BPE", vocab: Object.fromEntries([...letters].map((c, i) => [c, i])), merges: [] },
      ...more,
    });
  const files = (text: string): [string, string][] => [["tokenizer.json", text]];

  test("another vocabulary", async () => {
    await expect(against({ vocab_size: 51 })).rejects.toThrow(
      "The two checkpoints do not have the same tokens: tiny has 50 tokens and origin 51. Measure it against the model that it was made of.",
    );
  });

  test("another tokenizer, but not the same one written otherwise", async () => {
    const own = files(tokenizer("abc"));
    await expect(against({}, own, files(tokenizer("acb")))).rejects.toThrow(/token 2 of this text is 1 in tiny and 2 in origin/);
    for (const same of [own, files(tokenizer("abc", { truncation: null })), []])
      expect((await against({}, own, same)).divergence.kl.mean).toBe(0);
  });

  test("an original that cannot hold the windows, or cannot be opened", async () => {
    await expect(against({ max_position_embeddings: 8 })).rejects.toThrow(/origin/);
    await expect(against({ hidden_size: "wide" }, [], [], tinyTensors())).rejects.toThrow(/origin: .*hidden_size/);
  });
});
