import { describe, expect, test } from "vitest";
import { layerFacts } from "../../src/engine/facts";
import { toF16Words, toFloats } from "../../src/io/dtype";
import { letEventsIn } from "../../src/io/turn";
import { type Checkpoint, openModel } from "../../src/model/checkpoint";
import { packBits } from "../../src/ops/bits";
import { createCpuOps } from "../../src/ops/cpu";
import { type GridKind, pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import type { Coded, PackedLayer } from "../../src/quant/coded";
import type { AlphaCurve, LayerReport } from "../../src/results/report";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinySource, tinyTokens } from "../support/tiny";

const at = ({ base, slope, curvature }: AlphaCurve, alpha: number) => base - 2 * slope * alpha + curvature * alpha ** 2;

describe("a layer's error as a parabola in α", () => {
  const layers = async (alpha: number): Promise<LayerReport[]> => {
    const ops = createCpuOps();
    const model = await openModel(tinySource());
    // 8 bits of the second layer's stage hardly round: what is left of its error is what the correction left.
    const recipe = recipeWith({ bits: 8, rules: [{ match: "o_proj", alpha }] }, { alpha: 0.5, damp: 0.1 });
    return (await run({ ops, model, tokens: tinyTokens(6, 16), recipe, emit: () => {} })).report.layers;
  };

  test("predicts the measured error at any α, where rounding is small beside it", async () => {
    for (const alpha of [0.25, 1]) {
      const o = (await layers(alpha)).find((l) => l.block === 2 && l.kind === "o_proj")!;
      expect(o.alpha).toBe(alpha);
      // Rounding adds to it, and at 8 bits by little.
      expect(o.relativeError).toBeGreaterThan(0.9 * at(o.curve!, alpha));
      expect(o.relativeError).toBeLessThan(at(o.curve!, alpha) + 2e-4);
    }
  });

  test("falls from α = 0 towards its optimum, which lies in reach", async () => {
    const curved = (await layers(0.5)).filter((l) => l.curve && l.block > 0);
    expect(curved.length).toBeGreaterThan(5);
    for (const { curve } of curved) {
      expect(at(curve!, 0.5)).toBeLessThanOrEqual(curve!.base);
      expect(at(curve!, 1)).toBeLessThanOrEqual(curve!.base);
      expect(curve!.slope).toBeGreaterThanOrEqual(curve!.curvature * 0.999);
    }
  });

  test("is absent where QEP did not look, and outliers are told from the largest down", async () => {
    const all = await layers(0.5);
    const down = all.find((l) => l.kind === "down_proj")!;
    expect(down.curve).toBe(null);
    expect(down.outliers).toEqual([]);
    const { outliers } = all.find((l) => l.kind === "q_proj")!;
    expect(outliers.map((o) => o.times)).toEqual(outliers.map((o) => o.times).sort((a, b) => b - a));
    expect(outliers[0].times).toBeGreaterThan(1);
  });
});

test("a layer's histograms count every weight, before and after", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const { quantized } = await run({ ops, model, tokens: tinyTokens(), recipe: recipeWith({ bits: 2 }), emit: () => {} });
  const name = "model.layers.1.mlp.up_proj";
  const facts = await layerFacts(model, await quantized.layer(name), name);
  expect(facts.shape).toEqual([40, 24]);
  for (const { counts } of [facts.before, facts.after!]) expect(counts.reduce((a, b) => a + b, 0)).toBe(960);
  expect(facts.after!.counts).not.toEqual(facts.before.counts);
  expect((await layerFacts(model, null, name)).after).toBe(null);
  await expect(layerFacts(model, null, "model.layers.9.mlp.up_proj")).rejects.toMatchObject({ code: "missing-tensor" });
});

describe("facts of a layer that is read in several slices", () => {
  const [out, n, groups] = [600, 64, 4];
  const shape: [number, number] = [out, n];
  const numbers = (count: number, of: (i: number) => number) => Float32Array.from({ length: count }, (_, i) => of(i));
  const words = toF16Words(numbers(out * n, (i) => Math.sin(i * i) * (1 + (i % 7))));
  const checkpoint = {
    shards: {
      tensors: new Map([["l.weight", { name: "l.weight", dtype: "F16", shape, start: 0, end: 2 * words.length }]]),
      readTensor: async () => new Uint8Array(words.buffer),
    },
  } as unknown as Checkpoint;

  const packed = (gridKind: GridKind): PackedLayer => ({
    kind: "packed",
    name: "l",
    symmetric: false,
    shape,
    bits: 3,
    gridKind,
    words: packBits(
      Uint8Array.from({ length: out * n }, (_, i) => (i * i + 3 * i) % 8),
      3,
    ),
    scales: numbers(out * groups, (i) => 0.5 + (i % 11) / 16),
    zeros:
      gridKind === "integer-zero" ? Uint8Array.from({ length: out * groups }, (_, i) => i % 8) : numbers(out * groups, (i) => (i % 13) / 8),
  });
  const dense: Coded = { kind: "dense", name: "l", shape, words: toF16Words(numbers(out * n, (i) => 5 * Math.cos(i))) };

  /** ŵ by the definition, one by one. */
  function pointsOf(layer: Coded): number[] {
    if (layer.kind === "dense") return [...toFloats(new Uint8Array(layer.words.buffer), "F16")];
    return Array.from(codesOf(layer), (code, i) => {
      const g = Math.floor(i / (n / groups));
      return pointOf(layer.gridKind, layer.scales[g], layer.zeros[g], code);
    });
  }

  function countsOf(values: readonly number[], largest: number): number[] {
    const counts = new Array<number>(64).fill(0);
    for (const w of values) counts[Math.min(63, Math.max(0, Math.floor(((w + largest) / (2 * largest)) * 64)))]++;
    return counts;
  }

  test.each<[string, Coded]>([
    ["integer zeros", packed("integer-zero")],
    ["real zeros", packed("real-zero")],
    ["no grid", dense],
  ])("count each weight where it is: %s", async (_, layer) => {
    const facts = await layerFacts(checkpoint, layer, "l");
    const weights = [...toFloats(new Uint8Array(words.buffer), "F16")];
    const largest = Math.max(...weights.map(Math.abs));
    expect(facts.before).toEqual({ low: -largest, high: largest, counts: countsOf(weights, largest) });
    expect(facts.after!.counts).toEqual(countsOf(pointsOf(layer), largest));
  });

  test("let other calls be heard meanwhile", async () => {
    const order: string[] = [];
    const facts = layerFacts(checkpoint, dense, "l").then(() => order.push("facts"));
    await letEventsIn().then(() => order.push("another call"));
    await facts;
    expect(order).toEqual(["another call", "facts"]);
  });
});
