import { beforeAll, describe, expect, test } from "vitest";
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { windowsPerChunk } from "../../src/engine/chunks";
import { recordingBytes } from "../../src/engine/memory";
import { Recordings } from "../../src/engine/recordings";
import type { Model } from "../../src/model/checkpoint";
import type { Ops } from "../../src/ops/ops";
import { methodIds } from "../../src/recipe/recipe";
import { demoTokens, figures, openDemo } from "../support/demo";
import { activationsOf, evaluate, type Finished, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";

/**
 * `npm test` takes one of each method, GPTQ's whole and of the others the first blocks, on which the later ones have no influence. `npm run conformance`
 * takes all that we have the method for, whole.
 */
const firstBlocks = { "gptq-3-qep": 0, "rtn-3-qep": 4, "awq-4-g64-qep": 2, "quip-3-qep": 4 };
const ours = Object.keys(figures).filter((name) => methodIds.some((method) => name.startsWith(`${method}-`)));
const chosen: [string, number][] = process.env.QEP_CONFORMANCE === "all" ? ours.map((name) => [name, 0]) : Object.entries(firstBlocks);

/** The largest relative deviation over a list. */
const worst = (ours: readonly number[], theirs: readonly number[]) => Math.max(...theirs.map((t, i) => Math.abs(ours[i] / t - 1)));

let ops: Ops;
beforeAll(async () => {
  ops = await openGpuOps();
});

interface Opened {
  model: Model;
  /** The full-precision stream is the same in every recipe. That a run which reads it back gives the same is tested in engine/run.test.ts. */
  recordings: Recordings;
}
const opened = new Map<number, Promise<Opened>>();
/** Bytes of each model's recording. */
const recorded = new Map<number, number>();
const open = (blocks: number): Promise<Opened> => {
  const known = opened.get(blocks) ?? openDemo(blocks).then((model) => ({ model, recordings: new Recordings(true) }));
  opened.set(blocks, known);
  return known;
};

describe.each(chosen)("%s, on WebGPU", (name, blocks) => {
  const want = figures[name];
  let result: Finished;

  test("every Δ_m, on both texts, and of a whole model both perplexities, are within the recipe's own tolerances", async () => {
    const { model, recordings } = await open(blocks);
    const recipe = await recipeOf(
      parseCommandLine(["model", "--preset", "paper", "--method", "rtn", ...want.flags], quantizeOptions).options,
    );
    const calibration = { tokens: demoTokens("calibration"), heldOut: null };
    const recording = await recordings.of(
      activationsOf(ops),
      model,
      calibration,
      recipe,
      windowsPerChunk(model.spec, calibration.tokens.length),
    );
    result = await run({ ops, model, ...calibration, recipe, recording });
    const held = ops.liveBytes;
    const { report, quantized } = result;
    const first = <T>(all: readonly T[]): readonly T[] => all.slice(0, model.spec.blocks);
    expect(report.blocks).toHaveLength(first(want.delta).length);
    const delta = report.blocks.map((b) => b.delta);
    expect(worst(delta, first(want.delta))).toBeLessThan(want.delta_rtol);
    const relative = report.blocks.map((b) => b.relativeDelta);
    expect(worst(relative, first(want.relativeDelta))).toBeLessThan(want.delta_rtol);
    const evaluation = await evaluate({ ops, model, tokens: demoTokens("evaluation"), emit: () => {} }, quantized);
    const onEvaluation = evaluation.blocks.map((b) => b.delta);
    expect(worst(onEvaluation, first(want.deltaEvaluation))).toBeLessThan(want.delta_rtol);
    if (!blocks) {
      expect(Math.abs(evaluation.perplexityBefore / want.perplexityBefore - 1)).toBeLessThan(1e-4);
      expect(Math.abs(evaluation.perplexity / want.perplexity - 1)).toBeLessThan(want.perplexity_rtol);
    }
    // Only the recordings outlive a run, and an evaluation leaves nothing.
    recorded.set(blocks, recordingBytes(model.spec, calibration.tokens.ids.length));
    expect(held).toBe([...recorded.values()].reduce((sum, bytes) => sum + bytes, 0));
    expect(ops.liveBytes).toBe(held);
    const seconds = (report.ms / 1000).toFixed(1);
    console.log(
      `${name}: ${seconds} s, Δ within ${worst(delta, first(want.delta)).toExponential(1)}, perplexity ${evaluation.perplexity.toFixed(4)}`,
    );
  });

  test("every layer's error is within 5 %, or the recipe's tolerance for Δ", () => {
    const { layers, blocks: quantized } = result.report;
    const wanted = Object.entries(want.layers).filter(([layer]) => Number(/layers\.(\d+)\./.exec(layer)![1]) < quantized.length);
    expect(layers).toHaveLength(wanted.length);
    const off = layers.map((l) => ({ name: l.name, off: Math.abs(l.relativeError / want.layers[l.name] - 1) }));
    expect(off.filter((l) => l.off >= Math.max(0.05, want.delta_rtol))).toEqual([]);
  });
});
