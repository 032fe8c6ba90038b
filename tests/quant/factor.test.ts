import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

/** How many factors a run of one block makes. QEP corrects all of its four stages but the last. */
async function factorsOf(change: Partial<Recipe>, damp: number | null = 0.01): Promise<number> {
  const ops = createCpuOps();
  const { cholesky } = ops;
  let made = 0;
  ops.cholesky = (A) => {
    made++;
    return cholesky(A);
  };
  const model = await openModel(tinySource({ ...tinyConfig, num_hidden_layers: 1 }));
  await run({ ops, model, tokens: tinyTokens(8, 32), recipe: recipeWith({ bits: 3, ...change }, { alpha: 0.5, damp }) });
  expect(ops.liveBytes).toBe(0);
  return made;
}

const gptq = { ...recipeWith().gptq, damp: 0.01 };

test.each([
  ["GPTQ's damping is QEP's: one for both", { method: "gptq", gptq } as const, 4],
  ["in GPTQ's act-order too", { method: "gptq", gptq: { ...gptq, actOrder: true } } as const, 4],
  ["GPTAQ's is the same", { method: "gptaq", gptq } as const, 4],
  ["GPTQ's damping is another", { method: "gptq", gptq: { ...gptq, damp: 0.02 } } as const, 7],
  ["RTN needs none of its own", { method: "rtn" } as const, 3],
])("%s", async (_, change, factors) => {
  expect(await factorsOf(change)).toBe(factors);
});
