import { describe, expect, test } from "vitest";
import { layerFacts } from "../../src/engine/facts";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
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
