import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { dampingFor } from "../../src/quant/damping";
import type { MethodId } from "../../src/recipe/recipe";
import { run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

test("damping left open is inputs over tokens, but never less than the authors'", () => {
  expect(dampingFor(null, 1536, 3072)).toBe(0.5);
  expect(dampingFor(null, 14336, 8192)).toBe(1.75);
  expect(dampingFor(null, 256, 1e6)).toBe(0.01);
  expect(dampingFor(0.1, 1536, 3072)).toBe(0.1);
  expect(dampingFor(0, 1536, 3072)).toBe(0);
});

describe("in a run", () => {
  const config = { ...tinyConfig, num_hidden_layers: 1 };
  const { hidden_size: hidden, intermediate_size: intermediate } = config;

  const T = 8 * 16;

  /** Of QEP with the method, and with windows held out, which are not in H. */
  async function dampingOf(method: MethodId, qepDamp: number | null): Promise<Record<string, number[]>> {
    const recipe = recipeWith(
      { method, bits: 4, gptq: { ...recipeWith().gptq, damp: null } },
      { alpha: 0.5, damp: qepDamp, downProj: true, choice: "guarded" },
    );
    const model = await openModel(tinySource(config));
    const { report } = await run({ ops: createCpuOps(), model, tokens: tinyTokens(8, 16), heldOut: tinyTokens(2, 16), recipe });
    return Object.fromEntries(report.layers.map(({ kind, damping }) => [kind, damping]));
  }

  test.each(["rtn", "gptq", "gptaq"] as const)(
    "each layer of %s with QEP has its own, and a factor in common is told once",
    async (method) => {
      const found = await dampingOf(method, null);
      expect(found.q_proj).toEqual([hidden / T]);
      expect(found.down_proj).toEqual([intermediate / T]);
    },
  );

  test("QuIP's solve has one of its own beside QEP's", async () => {
    expect((await dampingOf("quip", null)).down_proj).toEqual([intermediate / T, intermediate / T]);
  });

  test("where QEP's is given, GPTQ finds its own", async () => {
    expect((await dampingOf("gptq", 0.02)).q_proj).toEqual([0.02, hidden / T]);
  });
});
