import { describe, expect, test } from "vitest";
import { chunkCount, windowsPerChunk } from "../../src/engine/chunks";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { evaluate, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

async function awqRun(config: Record<string, unknown>, change: Partial<Recipe> = {}) {
  const ops = createCpuOps();
  const model = await openModel(tinySource(config));
  const input = { ops, model, tokens: tinyTokens(4, 16), emit: () => {} };
  const result = await run({ ...input, recipe: recipeWith({ method: "awq", bits: 4, ...change }, { alpha: 0 }) });
  expect(ops.liveBytes).toBe(0);
  return { ...input, ...result };
}

describe("AWQ", () => {
  test.each([
    ["grouped queries", tinyConfig],
    ["a key for every head", { ...tinyConfig, num_key_value_heads: 4 }],
  ])("under %s, at 8 bits, leaves the model's function as it was: every fold has its counterpart", async (_, config) => {
    const { ops, model, tokens, report, quantized } = await awqRun(config, { bits: 8 });
    expect(report.blocks.at(-1)!.relativeDelta).toBeLessThan(1e-3);
    // Evaluated from what was stored: norms replaced, rows of v and up divided, scales rounded to f16 again.
    const { perplexityBefore, perplexity, blocks } = await evaluate({ ops, model, tokens, emit: () => {} }, quantized);
    expect(Math.abs(perplexity / perplexityBefore - 1)).toBeLessThan(0.01);
    expect(blocks.at(-1)!.relativeDelta).toBeLessThan(1e-3);
    expect([...quantized.replaced.keys()].every((name) => /layernorm\.weight$/.test(name))).toBe(true);
    expect(quantized.replaced.size).toBeGreaterThan(0);
  });

  test("is exported with its folded norms as f16, and the reopened file computes what the run measured", async () => {
    const { ops, model, tokens, plan, report, quantized } = await awqRun(tinyConfig, { bits: 8 });
    const sink = memorySink();
    await exportCheckpoint({ model, plan, report, quantized, evaluations: [], sink });
    const again = await openModel(
      memorySource(
        "out",
        [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
      ),
    );
    const empty = { layer: async () => null, replaced: new Map(), beyondF16: new Map() };
    const measured = await evaluate({ ops, model, tokens, emit: () => {} }, quantized);
    const reread = await evaluate({ ops, model: again, tokens, emit: () => {} }, empty);
    expect(Math.abs(reread.perplexity / measured.perplexity - 1)).toBeLessThan(2e-3);
    const [name] = quantized.replaced.keys();
    expect(again.shards.tensors.get(name)!.dtype).toBe("F16");
  });

  test("folds its scales into every chunk: Δ_m of the run is that of what it stored, also where the text fills two chunks", async () => {
    const config = { ...tinyConfig, hidden_size: 8, intermediate_size: 12, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 4 };
    const ops = createCpuOps();
    const model = await openModel(tinySource({ ...config, num_hidden_layers: 2 }));
    // A chunk holds 4,096 tokens: half of these windows go into a second one.
    const tokens = tinyTokens(1024, 8);
    expect(chunkCount(tokens, windowsPerChunk(model.spec, 8))).toBe(2);
    const input = { ops, model, tokens, emit: () => {} };
    const { report, quantized } = await run({ ...input, recipe: recipeWith({ method: "awq", bits: 3 }, { alpha: 0 }) });
    expect(quantized.replaced.size).toBe(4);
    // The run divides its streams where it folds; the comparison divides nothing, and computes with the folded norms and rows, whose f16 scales were
    // rounded once more (1e-4 here).
    const stored = await evaluate(input, quantized);
    for (const [m, { delta }] of stored.blocks.entries()) expect(Math.abs(report.blocks[m].delta / delta - 1)).toBeLessThan(1e-3);
  });

  test("errs less than rounding to nearest at 3 bits", async () => {
    const last = async (method: Recipe["method"]) => {
      const ops = createCpuOps();
      const model = await openModel(tinySource(tinyConfig));
      const recipe = recipeWith({ method, bits: 3 }, { alpha: 0 });
      const { report } = await run({ ops, model, tokens: tinyTokens(8, 32), recipe, emit: () => {} });
      return report.layers.filter((l) => l.block === 0 && l.kind === "gate_proj")[0].relativeError;
    };
    expect(await last("awq")).toBeLessThan(1.02 * (await last("rtn")));
  });
});

describe("the zero of a group that is clipped at both ends", () => {
  test.each([
    // s = 1 needs no rounding: 1.5, 7.5 and 3.5 go to even.
    { bits: 2, m: 1.5, s: 1, z: 2 },
    { bits: 4, m: 7.5, s: 1, z: 8 },
    { bits: 3, m: 3.5, s: 1, z: 4 },
    // f16 takes s up, and the quotient below its tie; or down, and it above.
    { bits: 4, m: 7.5 * (1 + 2 ** -10 * 0.75), s: 1 + 2 ** -10, z: 7 },
    { bits: 4, m: 7.5 * (1 + 2 ** -10 * 0.25), s: 1, z: 8 },
    { bits: 2, m: 1.5 * (1 + 2 ** -10 * 0.75), s: 1 + 2 ** -10, z: 1 },
  ])("at $bits bits, ±$m, is $z", async ({ bits, m, s, z }) => {
    for (const ops of [createCpuOps(), await openGpuOps()]) {
      const W = ops.fromFloats(Float32Array.of(-m, 0.1, m, -0.2), [1, 4]);
      const grid = ops.grid(W, { bits, groupSize: -1, symmetric: false });
      expect((await ops.read([grid.scales, grid.zeros])).map(([x]) => x)).toEqual([s, z]);
    }
  });
});
