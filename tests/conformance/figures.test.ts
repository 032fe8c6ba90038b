import { beforeAll, describe, expect, test } from "vitest";
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { recordingBytes } from "../../src/engine/memory";
import { Recordings } from "../../src/engine/recordings";
import type { Model } from "../../src/model/checkpoint";
import type { Ops } from "../../src/ops/ops";
import { methodIds } from "../../src/recipe/recipe";
import { demoTokens, figures, openDemo } from "../support/demo";
import { activationsOf, evaluate, type Finished, run } from "../support/engine";
import { openGpuOps } from "../support/gpu";

/** `npm test` takes one of each method, `npm run conformance` all that we have the method for. */
const usual = ["rtn-3-qep", "gptq-3-qep", "awq-4-g64-qep", "quip-3-qep"];
const ours = Object.keys(figures).filter((name) => methodIds.some((method) => name.startsWith(`${method}-`)));
const names = process.env.QEP_CONFORMANCE === "all" ? ours : usual;

/** The largest relative deviation over a list. */
const worst = (ours: readonly number[], theirs: readonly number[]) => Math.max(...theirs.map((t, i) => Math.abs(ours[i] / t - 1)));

let ops: Ops;
let model: Model;
/** The full-precision stream is the same in every recipe. That a run which reads it back gives the same is tested in engine/run.test.ts. */
const recordings = new Recordings(true);
beforeAll(async () => {
  ops = await openGpuOps();
  model = await openDemo();
});

describe.each(names)("%s, on WebGPU", (name) => {
  const want = figures[name];
  let result: Finished;

  test("every Δ_m, on both texts, and both perplexities are within the recipe's own tolerances", { timeout: 600_000 }, async () => {
    const recipe = await recipeOf(parseCommandLine(["model", ...want.flags], quantizeOptions).options);
    const calibration = { tokens: demoTokens("calibration"), heldOut: null };
    const recording = await recordings.of(activationsOf(ops), model, calibration, recipe);
    result = await run({ ops, model, ...calibration, recipe, recording });
    const held = ops.liveBytes;
    const { report, quantized } = result;
    expect(report.blocks).toHaveLength(want.delta.length);
    const delta = report.blocks.map((b) => b.delta);
    expect(worst(delta, want.delta)).toBeLessThan(want.delta_rtol);
    const relative = report.blocks.map((b) => b.relativeDelta);
    expect(worst(relative, want.relativeDelta)).toBeLessThan(want.delta_rtol);
    const evaluation = await evaluate({ ops, model, tokens: demoTokens("evaluation"), emit: () => {} }, quantized);
    expect(Math.abs(evaluation.perplexityBefore / want.perplexityBefore - 1)).toBeLessThan(1e-4);
    expect(Math.abs(evaluation.perplexity / want.perplexity - 1)).toBeLessThan(want.perplexity_rtol);
    const onEvaluation = evaluation.blocks.map((b) => b.delta);
    expect(worst(onEvaluation, want.deltaEvaluation)).toBeLessThan(want.delta_rtol);
    // Only the recording outlives a run, and an evaluation leaves nothing.
    expect(held).toBe(recordingBytes(model.spec, calibration.tokens.ids.length));
    expect(ops.liveBytes).toBe(held);
    const seconds = (report.ms / 1000).toFixed(1);
    console.log(
      `${name}: ${seconds} s, Δ within ${worst(delta, want.delta).toExponential(1)}, perplexity ${evaluation.perplexity.toFixed(4)}`,
    );
  });

  test("every layer's error is within 5 %, or the recipe's tolerance for Δ", () => {
    const { layers } = result.report;
    expect(layers).toHaveLength(Object.keys(want.layers).length);
    const off = layers.map((l) => ({ name: l.name, off: Math.abs(l.relativeError / want.layers[l.name] - 1) }));
    expect(off.filter((l) => l.off >= Math.max(0.05, want.delta_rtol))).toEqual([]);
  });
});
