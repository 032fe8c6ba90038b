/** Whole runs on a model whose sizes no tile, block or workgroup divides: WebGPU against the float64 reference. */

import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { run } from "../support/engine";
import { openGpuOps } from "../support/gpu";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const gpu = await openGpuOps();

/** 172 and 1000 each as inputs and as outputs: tiles, and GPTQ's blocks of 128, end inside of both; k and v have 86 outputs, where vectors of 4 end too. */
const config = {
  ...tinyConfig,
  ...{ hidden_size: 172, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 86, intermediate_size: 1000, num_hidden_layers: 1 },
};
const recipes = {
  "RTN + QEP": recipeWith({ method: "rtn", bits: 3 }),
  GPTQ: recipeWith({ method: "gptq", bits: 3 }, { alpha: 0 }),
};

test.each(Object.entries(recipes))(
  "%s on 172 and 1000 inputs: Δ and every layer's error are the reference's",
  { timeout: 300_000 },
  async (_, recipe) => {
    const model = await openModel(tinySource(config));
    const tokens = tinyTokens(20, 17);
    const report = async (ops: Ops) => (await run({ ops, model, tokens, recipe, emit: () => {} })).report;
    const [ours, want] = [await report(gpu), await report(createCpuOps())];
    expect(ours.layers.map((l) => l.name)).toEqual(want.layers.map((l) => l.name));
    expect(ours.layers.map((l) => l.damping)).toEqual(want.layers.map((l) => l.damping));
    const off = [
      ...ours.blocks.map((b, m) => ({ what: `Δ of block ${m}`, off: b.delta / want.blocks[m].delta - 1 })),
      ...ours.layers.map((l, i) => ({ what: l.name, off: l.relativeError / want.layers[i].relativeError - 1 })),
    ];
    // Other arithmetic rounds a weight near the middle of two codes the other way, and later columns follow: a few ten-thousandths here.
    expect(off.filter((x) => !(Math.abs(x.off) < 0.01))).toEqual([]);
    expect(gpu.liveBytes).toBe(0);
  },
);
